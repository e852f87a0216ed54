"""An observer that counts the portal's alerts."""

from collections import Counter

from bursar.portal.state.observer import NoObserver


class CountingAlerts(NoObserver):
    """Counts the portal's alerts."""

    def __init__(self, alerts: Counter[str]) -> None:
        self._alerts = alerts

    def alerted(self, alert: str) -> None:
        """Count the alert."""
        self._alerts[alert] += 1
