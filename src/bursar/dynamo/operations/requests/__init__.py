"""Read requests: shapes, common members, expression parameters, known forms of writes, ARNs."""
