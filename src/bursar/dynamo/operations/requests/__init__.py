"""What operations read requests with: shapes, members, expression parameters, forms of known requests, ARNs."""
