"""The use cases of applications: init, process, details, completion, and the resolution of unknown outcomes."""
