"""The composition root: makes a running Bursar from settings. Only this room knows all parts."""
