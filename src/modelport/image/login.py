"""Who we are to a registry: credentials by flags, by docker's or podman's own files and helpers, by AWS; and what they become."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from modelport.errors import MissingExtra, TargetRefused
from modelport.image.order import Credentials
from modelport.image.reference import HUB
from modelport.image.transport import Call, Transport, host_of

_HELPER_TIMEOUT_S = 30
_ECR = re.compile(r"[0-9]{12}\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:on\.aws|amazonaws\.com(?:\.cn)?)\Z")
_IDENTITY = "<token>"
"""A user of this name has no password, but a token to ask for others with (OAuth 2 refresh token)."""


def credentials(host: str) -> Credentials | None:
    """Return what is known of a registry: from docker's and podman's files and their helpers, of ECR from the AWS account.

    Raises: TargetRefused if a helper or AWS refuses; MissingExtra if boto3 would be needed.
    """
    for path in _files():
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(config, dict) and (found := _of(config, host)) is not None:
            return found
    if (ecr := _ECR.match(host)) is not None:
        return _of_aws(host, ecr["region"])
    return None


def basic(login: Credentials) -> str:
    """Return the header of basic authentication."""
    return "Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode()


def bearer(transport: Transport, challenge: str, registry: str, login: Credentials | None) -> str:
    """Fetch a token as a challenge says, with ``login`` if there is one; return the header that shows it.

    Raises: TargetRefused if it is refused; Lost. The token server gets the login only over HTTPS, or on this machine.
    """
    asked = dict(re.findall(r'([a-zA-Z_]+)="([^"]*)"', challenge))
    realm = asked.get("realm", "")
    if not realm.startswith(("https://", "http://")):
        raise TargetRefused(f"{registry} asks for a token and does not say where to get one; ask who runs it")
    query = {key: asked[key] for key in ("service", "scope") if key in asked}
    if login is not None and login.username == _IDENTITY:
        form = urlencode(query | {"grant_type": "refresh_token", "client_id": "modelport", "refresh_token": login.password}).encode()
        answer = transport.send(Call("POST", realm, {"Content-Type": "application/x-www-form-urlencoded"}, form))
    else:
        url = realm + ("&" if urlsplit(realm).query else "?") + urlencode(query)
        answer = transport.send(Call("GET", url, login=basic(login) if login is not None else ""))
    body = answer.read(1 << 20)
    if answer.status != 200:
        raise refused(registry, login, answer.status)
    try:
        found = json.loads(body)
        token = found.get("token") or found["access_token"]
    except (ValueError, KeyError, AttributeError) as error:
        raise TargetRefused(f"{host_of(realm)} answered without a token for {registry}; ask who runs it") from error
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise TargetRefused(f"{host_of(realm)} answered with something that is no token for {registry}; ask who runs it")
    return f"Bearer {token}"


def refused(registry: str, login: Credentials | None, status: int) -> TargetRefused:
    """Return the error for a login that was not taken, or for none where one is needed."""
    if login is None:
        how = "log in with --username NAME --password-stdin, or once with `docker login` or `podman login`"
        return TargetRefused(f"{registry} wants a login and none is known (HTTP {status}); {how}")
    return TargetRefused(
        f'{registry} does not take the login of "{login.username}" for this (HTTP {status}); correct the password, '
        "or ask for the right to use the repository"
    )


def _files() -> list[Path]:
    """Where docker and podman keep logins, in the order that they are looked at."""
    home = Path.home()
    named = [os.environ.get("REGISTRY_AUTH_FILE", "")]
    named += [f"{folder}/config.json" for folder in [os.environ.get("DOCKER_CONFIG") or str(home / ".docker")]]
    named += [f"{os.environ['XDG_RUNTIME_DIR']}/containers/auth.json"] if os.environ.get("XDG_RUNTIME_DIR") else []
    named += [str(home / ".config" / "containers" / "auth.json")]
    return [Path(name) for name in named if name]


def _of(config: Mapping[str, object], host: str) -> Credentials | None:
    names = [host, f"https://{host}", f"http://{host}"]
    if host == HUB:
        names = ["https://index.docker.io/v1/", "index.docker.io", HUB]
    helpers = config.get("credHelpers")
    for name in names:
        helper = helpers.get(name) if isinstance(helpers, dict) else None
        if isinstance(helper, str):
            return _of_helper(helper, name)
    auths = config.get("auths")
    for name in names:
        entry = auths.get(name) if isinstance(auths, dict) else None
        if isinstance(entry, dict) and (found := _of_entry(entry)) is not None:
            return found
    store = config.get("credsStore")
    for name in names if isinstance(store, str) and store else ():
        if (found := _of_helper(str(store), name)) is not None:
            return found
    return None


def _of_entry(entry: Mapping[str, object]) -> Credentials | None:
    if isinstance(token := entry.get("identitytoken"), str) and token:
        return Credentials(_IDENTITY, token)
    try:
        user, separator, password = base64.b64decode(str(entry.get("auth", "")), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return Credentials(user, password.strip("\0")) if separator else None


def _of_helper(name: str, host: str) -> Credentials | None:
    """Ask a credential helper, a program that docker knows by the same name (docker-credential-helpers' protocol)."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}", name):
        raise TargetRefused(f'"{name[:80]}" is no name of a credential helper; correct docker\'s config.json')
    program = f"docker-credential-{name}"
    try:
        done = subprocess.run([program, "get"], input=host.encode(), capture_output=True, timeout=_HELPER_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetRefused(
            f"{program}, which docker's config.json names for {host}, does not run ({type(error).__name__}); install it"
        ) from error
    if done.returncode != 0:  # it knows no login for this host
        return None
    try:
        found = json.loads(done.stdout)
        return Credentials(str(found["Username"]), str(found["Secret"]))
    except (ValueError, KeyError, TypeError) as error:
        raise TargetRefused(f"{program} answered for {host} with something that is no login; run it by hand to see what") from error


def _of_aws(host: str, region: str) -> Credentials:
    """Ask ECR for a token, twelve hours of which are left."""
    try:
        import boto3
        import botocore.exceptions as refusals
    except ImportError as error:
        raise MissingExtra(f"the login of {host} takes boto3, which is not installed; run: pip install 'modelport[aws]'") from error
    try:
        answer = boto3.client("ecr", region_name=region).get_authorization_token(registryIds=[host.partition(".")[0]])
        token = base64.b64decode(answer["authorizationData"][0]["authorizationToken"]).decode()
    except (refusals.BotoCoreError, refusals.ClientError) as error:
        raise TargetRefused(
            f"AWS gives no login for {host} ({str(error).rstrip('.')}); log in to AWS, and ask for ecr:GetAuthorizationToken"
        ) from error
    user, _, password = token.partition(":")
    return Credentials(user, password)
