"""The shared parts of web pages: static files, styles, security headers, tokens of forms, safe text."""
