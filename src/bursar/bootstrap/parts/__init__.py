"""Parts of a running system, each made from the settings for :mod:`bursar.bootstrap.composition` and the commands."""
