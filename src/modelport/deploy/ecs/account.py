"""An account of AWS in a region: the one place that calls AWS. Answers become data, refusals become one sentence.

Retries of throttled and interrupted calls are botocore's own; what is left after them is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

import msgspec

from modelport.deploy.ecs import refusals
from modelport.errors import MissingExtra, TargetRefused
from modelport.version import VERSION

try:
    import boto3
    import botocore.exceptions
    from botocore.config import Config
except ModuleNotFoundError as missing:
    raise MissingExtra(f"the target ecs needs {missing.name}, which is not installed; run: pip install 'modelport[aws]'") from missing

T = TypeVar("T")

_ATTEMPTS = 8
_CONNECT_S, _READ_S = 10, 60


class Client(Protocol):
    """A client of one AWS service; its operations are methods of boto3's making."""

    def close(self) -> None:
        """Give its connections back."""


class Identity(msgspec.Struct, rename="pascal", frozen=True):
    """Who asks."""

    account: str
    arn: str


class Account:
    """Sessions and clients, made when they are first needed."""

    def __init__(self, region: str | None = None, profile: str | None = None, *, attempts: int = _ATTEMPTS) -> None:
        """Find credentials and region as AWS's own tools do. ``attempts``: at each call.

        Raises: TargetRefused if there is no region, or no such profile.
        """
        self._attempts = attempts
        try:
            self._session = boto3.Session(region_name=region, profile_name=profile)
        except botocore.exceptions.BotoCoreError as error:
            raise refusals.of_client(error, "the session") from error
        if not self._session.region_name:
            raise TargetRefused(refusals.NO_REGION)
        self.region: str = self._session.region_name
        self._clients: dict[str, Client] = {}

    def client(self, service: str) -> Client:
        """Return the client of a service. Raises: TargetRefused."""
        if service not in self._clients:
            config = Config(
                retries={"mode": "standard", "total_max_attempts": self._attempts},
                connect_timeout=_CONNECT_S,
                read_timeout=_READ_S,
                user_agent_extra=f"modelport/{VERSION}",
            )
            try:
                self._clients[service] = self._session.client(service, config=config)
            except botocore.exceptions.BotoCoreError as error:
                raise refusals.of_client(error, service) from error
        return self._clients[service]

    def ask(self, service: str, operation: str, kind: type[T], arguments: Mapping[str, object]) -> T:
        """Call an operation and return its answer as ``kind``, which names what of it matters. Raises: Refusal, TargetRefused."""
        answer = self.raw(service, operation, arguments)
        try:
            return msgspec.convert(answer, kind, strict=False)
        except msgspec.ValidationError as error:
            raise TargetRefused(
                f"AWS answered {service} {operation} in a way not known here ({error}); install a newer modelport"
            ) from error

    def raw(self, service: str, operation: str, arguments: Mapping[str, object]) -> object:
        """Call an operation and return its answer as boto3 gives it. Raises: Refusal, TargetRefused."""
        name = f"{service} {operation}"
        try:
            return getattr(self.client(service), operation)(**arguments)
        except botocore.exceptions.ClientError as error:
            raise refusals.of_service(error.response, name) from error
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.HTTPClientError) as error:
            raise refusals.of_client(error, name) from error

    def identity(self) -> Identity:
        """Say who asks: the first call, at which missing and expired credentials show. Raises: TargetRefused."""
        return self.ask("sts", "get_caller_identity", Identity, {})
