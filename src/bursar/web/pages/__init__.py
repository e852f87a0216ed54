"""The shared parts of web pages: static files and their look, security headers, tokens of forms, safe text."""
