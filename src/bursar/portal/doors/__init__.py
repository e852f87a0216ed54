"""The doors to the API: ASGI and AWS Lambda."""
