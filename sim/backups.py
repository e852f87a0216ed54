"""Backups of a store in memory: the whole SQLite file, as a copy of the disk would keep it."""

from bursar.dynamo import AsyncEngine, Engine, Store


def backup_of(store: Store) -> bytes:
    """Return the committed state of ``store``, an engine in this process."""
    return bytes(_engine(store)._storage.connection.serialize("main"))


def restore_into(store: Store, backup: bytes) -> None:
    """Restore ``store`` to ``backup``. No request may be in progress in it."""
    engine = _engine(store)
    engine._storage.connection.deserialize("main", backup)
    engine._core.discard_cache()


def _engine(store: Store) -> Engine:
    assert isinstance(store, AsyncEngine), "only a store in this process is backed up"
    return store.engine
