"""The portal's HTTP API without a transport: routing, endpoints, authentication, rate limits, OpenAPI, logs."""
