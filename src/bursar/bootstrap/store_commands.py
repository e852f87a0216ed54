"""The commands ``bursar backup`` and ``bursar restore``, for a store in a file."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import click

from bursar.bootstrap.commands import refuse, run_command, settings_from
from bursar.bootstrap.composition import Composition
from bursar.bootstrap.parts.generations import Generations, note_outside, outside_of
from bursar.bootstrap.parts.upkeep import keep_note
from bursar.clock import iso_ms, system_clock
from bursar.dynamo import AsyncEngine
from bursar.dynamo.clients.store import MEMORY, file_of
from bursar.dynamo.tools.store_copies import (
    CopyProgress,
    CopyRefused,
    copy_file,
    copy_store,
    partial_file,
    put_in_place,
    refuse_existing,
    refuse_unsound,
)
from bursar.payments.ledger.store_records.restores import BY_COMMAND, RESTORE_MARK, RestoreMark
from bursar.private_files import make_private_folder
from bursar.rules.language.toml import rules_from_toml
from bursar.settings import Settings
from bursar.startup import CannotStart

S3_SCHEME: Final = "s3://"


@click.command()
@click.argument("target", metavar="FILE|s3://BUCKET/KEY")
@click.option("--data", metavar="DIR", help="The folder of the store.  [default: data]")
def backup(target: str, data: str | None) -> None:
    """Copy the store to a new FILE or S3 object, consistently, while the portal runs; check the copy.

    The copy holds tokens and personal data: a file gets mode 600.
    """
    settings = settings_from({"data": data})
    run_command(settings, lambda: _backup(settings, target))


@click.command()
@click.argument("source", metavar="FILE|s3://BUCKET/KEY")
@click.option("--data", metavar="DIR", help="The folder of the store.  [default: data]")
def restore(source: str, data: str | None) -> None:
    """Put a backup in the place of the store, which must not exist, and mark the store as restored.

    Until an operator clears the mark (`bursar restored --clear`), the portal asks Pay.gov about every payment that may
    have been made since the backup.
    """
    settings = settings_from({"data": data})
    run_command(settings, lambda: _restore(settings, source))


async def _backup(settings: Settings, target: str) -> None:
    store = _store_file(settings)
    with _refusals():
        if target.startswith(S3_SCHEME):
            with tempfile.TemporaryDirectory() as folder:  # a folder of mode 700
                final = Path(folder) / "backup.db"
                _refuse_existing_object(target)
                await _copy_of_store(settings, store, final)
                _upload(final, target)
        else:
            await _copy_of_store(settings, store, Path(target))
    keep_note(settings, "backup", system_clock(), target=target)
    click.echo(f"{target} is a sound backup of {store}.")


async def _copy_of_store(settings: Settings, store: Path, final: Path) -> None:
    """Copy the store to ``final``, and check the copy."""
    async with Composition(settings, creates_store=False) as parts:
        generations = Generations(await parts.ledger(), str(store))
        # The rise before the backup gives the backup a date. The rise after it makes every restore by hand noticeable.
        await generations.raise_and_note()
        with partial_file(final) as partial:
            with _progress("copying") as advance:
                copy_store(store, partial, advance)
            await generations.raise_and_note()
            click.echo("checking the copy …", err=True)
            refuse_unsound(partial, "the copy")
            put_in_place(partial, final)


async def _restore(settings: Settings, source: str) -> None:
    store = _store_file(settings)
    async with Composition(settings) as parts:
        _ = parts.fees  # marking the copy needs the catalogue: an invalid one is reported before anything is copied
    with _refusals():
        refuse_existing(store)
        make_private_folder(store.parent)
        with partial_file(store) as partial, _progress("copying") as advance:
            if source.startswith(S3_SCHEME):
                _download(source, partial, advance)
            else:
                copy_file(Path(source), partial, advance)
            click.echo("checking the backup …", err=True)
            refuse_unsound(partial, source)
            mark, generation = await _mark(settings, store, partial)
            put_in_place(partial, store)
        note_outside(str(store), generation)
    since = "an unknown time" if mark.backup_at is None else iso_ms(mark.backup_at)
    click.echo(
        f"{store} is restored from {source}, a backup of {since} or later.\n"
        "1. Move the lake away, which may hold payments that the store has lost. The portal writes it again.\n"
        "2. Start the portal. It asks Pay.gov about every payment that may have been made since the backup.\n"
        "3. Compare the store with Pay.gov's activity file from that time on. Then:\n"
        "   bursar restored --clear --activity-file FILE --by NAME --reason TEXT\n"
        "docs/operations.md says more."
    )


async def _mark(settings: Settings, store: Path, partial: Path) -> tuple[RestoreMark, int]:
    """Mark the restored copy. Return the mark, and the generation of the copy after it.

    If the copy's rules are too old for marks, store the rules of this version, as a portal does at its start.
    """
    outside = outside_of(str(store))
    on_copy = replace(settings, store=f"file:{quote(str(partial))}")
    async with Composition(on_copy, creates_store=not await _knows_marks(on_copy)) as parts:
        ledger = await parts.ledger()
        mark = await ledger.mark_restored(BY_COMMAND, outside=outside)
        assert mark is not None, "a copy that is not in place is marked once"
        return mark, (await ledger.restores.read()).generation


async def _knows_marks(settings: Settings) -> bool:
    async with Composition(settings, creates_store=False) as parts:
        store = await parts.store()
        assert isinstance(store, AsyncEngine)
        await parts.expect_table()
        document = store.engine.rules_document(settings.table)
    if document is None:
        return False
    try:
        return any(kind.name == RESTORE_MARK for kind in rules_from_toml(document).kinds)
    except ValueError:  # the rules of another version, which this one cannot parse
        return False


def _store_file(settings: Settings) -> Path:
    path = file_of(settings.store_url)
    if path is None or path == MEMORY:
        raise CannotStart(
            f"{settings.store_setting}: must be file:PATH for this command; got {settings.store_url}. "
            "Amazon's DynamoDB makes its own backups: mark a restored table with `bursar restored --mark`"
        )
    return Path(path)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except CopyRefused as refused:
        refuse(str(refused))
    except OSError as error:
        refuse(f"{error.filename or 'the copy'}: {error.strerror or error}")


# Amazon S3. The extra `aws` has boto3, which is imported where it is used.


def _bucket_and_key(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    key = parts.path.lstrip("/")
    if not parts.netloc or not key:
        raise CannotStart(f"the S3 object: must be s3://BUCKET/KEY; got {url}")
    return parts.netloc, key


def _s3() -> Any:
    import boto3

    return boto3.session.Session().client("s3")


def _refuse_existing_object(url: str) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, key = _bucket_and_key(url)
    try:
        _s3().head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
            return
        raise CopyRefused(f"{url}: {error}") from error
    except BotoCoreError as error:
        raise CopyRefused(f"{url}: {error}") from error
    raise CopyRefused(f"{url} exists and is never overwritten")


def _upload(source: Path, url: str) -> None:
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, key = _bucket_and_key(url)
    total, sent = source.stat().st_size, 0
    with _progress("uploading") as advance:

        def count(size_bytes: int) -> None:
            nonlocal sent
            sent += size_bytes
            advance(sent, total)

        try:
            _s3().upload_file(str(source), bucket, key, Callback=count)
        except (Boto3Error, BotoCoreError, ClientError) as error:
            raise CopyRefused(f"{url}: {error}") from error


def _download(url: str, target: Path, advance: CopyProgress) -> None:
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, key = _bucket_and_key(url)
    try:
        client = _s3()
        total, received = client.head_object(Bucket=bucket, Key=key)["ContentLength"], 0

        def count(size_bytes: int) -> None:
            nonlocal received
            received += size_bytes
            advance(received, total)

        with target.open("r+b") as file:
            client.download_fileobj(bucket, key, file, Callback=count)
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise CopyRefused(f"{url}: {error}") from error


@contextmanager
def _progress(word: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error when it is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(word), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(word)
        yield lambda done, total: bar.update(task, completed=done, total=total)
