"""The use cases: init, process, details, completion, resolution of unknown outcomes, and the sweep."""
