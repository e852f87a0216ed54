"""The pages of the dashboard, one file each. A handler takes a :class:`~bursar.dashboard.visit.Visit`."""
