"""The composition root: settings in, a running Bursar out. The only room that knows which parts make the whole."""
