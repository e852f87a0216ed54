"""``bursar portal`` in several processes, which share the port, the store's file, and evenly the connections.

    parent   checks everything once ──► keeps the port ──► forks, waits, replaces dead workers, forwards signals
    worker   has a socket on that port, an event loop, a store, a sweeper · stops with its parent

The kernel gives a connection to any worker, and a worker that has more connections than another passes it on. The
workers' counters and the clients' limits are in shared memory. So each worker reports the metrics of all, and the
limits hold for all workers together.
"""

from collections.abc import Callable

from bursar.bootstrap.serving import bind
from bursar.bootstrap.up import PrintLine, check_portal, client_limits, portal_lines, serve_portal
from bursar.portal.api.rate_limits import shared_buckets
from bursar.portal.metrics.metrics import Metrics
from bursar.portal.metrics.worker_snapshots import Snapshots
from bursar.settings import Settings
from bursar.startup import CannotStart
from bursar.web.connection_balancing import WorkerShare
from bursar.web.worker_processes import WorkerProcesses

IN_MEMORY = "file::memory:"


def run_portal_workers(settings: Settings, print_line: PrintLine) -> None:
    """Run ``settings.workers`` processes until SIGINT or SIGTERM. Raises :class:`CannotStart`."""
    import uvloop

    if settings.store_url.startswith(IN_MEMORY):
        raise CannotStart("BURSAR_WORKERS: must be 1 for a store in memory, which workers cannot share")
    # The first socket fails if another server shares the port. The second keeps the port without listening, so that
    # every worker, also a later one, gets the same port.
    bind(settings.host, settings.port, "the portal").close()
    kept_socket = bind(settings.host, settings.port, "the portal", shared=True)
    with kept_socket as kept, shared_buckets(settings.workers) as use:
        uvloop.run(check_portal(settings))  # errors are reported once, and no worker inherits an open file
        port = kept.getsockname()[1]
        snapshots = Snapshots(settings.workers)

        def work(lifeline: int, ready: Callable[[], None], share: WorkerShare) -> None:
            with bind(settings.host, port, "the portal", shared=True) as listening:
                serving = serve_portal(
                    settings,
                    listening,
                    on_ready=ready,
                    on_stop=_print_nothing,
                    lifeline=lifeline,
                    share=share,
                    metrics=Metrics(snapshots, share.worker),
                    limits=client_limits(settings, use, share.worker),
                )
                uvloop.run(serving)

        lines = portal_lines(settings, kept)
        failed = WorkerProcesses(settings.workers, work).run(lambda: print_line(lines))
    if failed:
        raise CannotStart(failed)
    print_line("Stopped.")


def _print_nothing() -> None:
    """Do nothing: the parent prints the last line."""
