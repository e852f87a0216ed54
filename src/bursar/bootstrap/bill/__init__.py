"""The monthly bill of Bursar on AWS: measured units times dated prices (``bursar cost``)."""
