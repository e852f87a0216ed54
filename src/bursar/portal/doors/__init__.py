"""The doors to the API: the HTTP server and AWS Lambda."""
