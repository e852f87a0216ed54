"""Read the credentials file of a server: the access keys, their secrets, and the policy of each.

    [[key]]
    access_key = "AKIAEXAMPLE"
    secret = "…"
    user = "reports"                  # the name in errors and policies; the access key by default
    policy = "reports-policy.json"    # beside this file, or the document as a TOML table; without it: everything

The file holds secrets, so a file that other users can read is refused.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bursar.dynamo.regions import DEFAULT_REGION
from bursar.dynamo.server.iam_scope import PartitionNames, required_permissions
from bursar.dynamo.server.policies import Policy, PolicyError, parse_policy
from bursar.private_files import TooOpen, require_private
from bursar.web.sigv4 import Identity

_MEMBERS = {"access_key", "secret", "user", "policy"}


class CredentialsError(ValueError):
    """The credentials file cannot be used. The text names the file, the key and the reason."""


@dataclass(frozen=True, slots=True)
class KeyGrant:
    """The secret and the policy of an access key; ``policy`` None allows everything."""

    secret: str
    policy: Policy | None = None


class AccessKeys:
    """The access keys that a server knows. Their policies are on the ARNs of ``region``."""

    def __init__(
        self, keys: Mapping[str, KeyGrant], region: str = DEFAULT_REGION, *, only_region: bool = False
    ) -> None:
        """Create the access keys: name → grant. With ``only_region``, a signature for another region is refused."""
        self._keys = dict(keys)
        self._region = region
        self.signed_region = region if only_region else None
        """The region that signatures must be for; None accepts any."""

    @classmethod
    def load(cls, path: Path, region: str = DEFAULT_REGION, *, only_region: bool = False) -> "AccessKeys":
        """Return the keys of a credentials file. With ``only_region``, a signature for another region is refused.

        Raises:
            CredentialsError: the file cannot be read, is not private, or does not describe keys.
        """
        try:
            require_private(path)
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except TooOpen as error:
            raise CredentialsError(str(error)) from None
        except OSError as error:
            raise CredentialsError(f"cannot read {path}: {error.strerror}") from None
        except ValueError as error:
            raise CredentialsError(f"{path}: must be TOML; {error}") from None
        entries = document.get("key")
        if not isinstance(entries, list) or not entries or set(document) != {"key"}:
            raise CredentialsError(f"{path}: must hold one or more [[key]] tables, and nothing else")
        keys: dict[str, KeyGrant] = {}
        for number, entry in enumerate(entries, 1):
            try:
                name, key = _read_key(path, entry)
            except PolicyError as error:
                raise CredentialsError(f"{path}: key {number}: {error}") from None
            if name in keys:
                raise CredentialsError(
                    f"{path}: key {number}: access_key: must differ from those of the other keys; got {name}"
                )
            keys[name] = key
        return cls(keys, region, only_region=only_region)

    def secret_for(self, access_key: str) -> str | None:
        """Return the secret of an access key, or None."""
        key = self._keys.get(access_key)
        return key.secret if key else None

    def authorise(
        self, identity: Identity, operation: str, request: Mapping[str, Any], partition_names: PartitionNames
    ) -> None:
        """Raise ``DynamoError`` AccessDeniedException if the key's policy does not allow the request."""
        policy = self._keys[identity.access_key].policy
        if policy is not None:
            policy.require(required_permissions(operation, request, partition_names, self._region))


def _read_key(path: Path, entry: Any) -> tuple[str, KeyGrant]:
    unknown = set(entry) - _MEMBERS if isinstance(entry, dict) else None
    if unknown is None:
        raise PolicyError(f"must be a table; got {type(entry).__name__}")
    if unknown:
        raise PolicyError(f"must hold only {', '.join(sorted(_MEMBERS))}; got {', '.join(sorted(unknown))}")
    for member in ("access_key", "secret"):
        if not isinstance(entry.get(member), str) or not entry[member]:
            raise PolicyError(f"{member}: must be a non-empty string")
    document = entry.get("policy")
    if isinstance(document, str):
        try:
            document = json.loads((path.parent / document).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PolicyError(f"policy: cannot read {document}: {error}") from None
    if document is not None and not isinstance(document, dict):
        raise PolicyError(f"policy: must be a file name or a table; got {document!r}")
    user = str(entry.get("user", entry["access_key"]))
    policy = None if document is None else parse_policy(user, document)
    return entry["access_key"], KeyGrant(entry["secret"], policy)
