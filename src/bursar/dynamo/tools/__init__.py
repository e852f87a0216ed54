"""Tools over an engine: the PartiQL shell, and dump and load."""
