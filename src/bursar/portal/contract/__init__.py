"""What callers send and receive: messages, schemas, validation, authorisation, views, errors, periods."""
