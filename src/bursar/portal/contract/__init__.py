"""The contract with callers: messages, schemas, validation, authorisation, answers, views, errors, periods."""
