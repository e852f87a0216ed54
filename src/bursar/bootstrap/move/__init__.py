"""``bursar move``: move a store to another place while the portal runs."""
