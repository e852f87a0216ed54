"""The pages of the console, one file per subject. A page is a coroutine that takes a visit."""
