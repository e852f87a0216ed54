"""What the web pages of any room share: static files and their look, security headers, tokens of forms, safe text."""
