"""AWS's refusals in its own words, each with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from modelport.errors import TargetRefused
from modelport.telemetry.logs import escape

NO_REGION = "AWS needs a region, and neither a flag, a variable nor the AWS configuration names one; give one with --region"
_WORDS_CHARACTERS = 400

_RENEW = "log in again with `aws sso login` or renew the keys in your AWS configuration"
_CHECK_KEYS = "check AWS_PROFILE, AWS_ACCESS_KEY_ID and the AWS configuration"
_ADVICE: dict[str, str] = {
    "ExpiredToken": _RENEW,
    "ExpiredTokenException": _RENEW,
    "RequestExpired": "set the clock of this machine right, or " + _RENEW,
    "InvalidClientTokenId": _CHECK_KEYS,
    "UnrecognizedClientException": _CHECK_KEYS,
    "SignatureDoesNotMatch": _CHECK_KEYS,
    "AuthFailure": _CHECK_KEYS,
    "InvalidSignatureException": _CHECK_KEYS,
    "OptInRequired": "turn the region or the service on for the account, or choose another with --region",
    "Throttling": "AWS was asked too often by this account; wait a minute and run the same command again",
    "LimitExceeded": "raise the quota in Service Quotas, or remove what is no longer needed",
    "AlreadyExists": "choose another with --name, or remove that one",
    "CertificateNotFound": "give the ARN of a certificate that is issued and in the same region with --certificate",
    "InsufficientCapabilities": "this is a fault of modelport; please report it",
    "RepositoryNotFoundException": "correct --image, or leave it out to have the image built",
    "ImageNotFoundException": "push the image first, or leave --image out to have it built",
    "ImageTagAlreadyExistsException": "run the same command again, which gives the image another tag",
}
_GROUPS: tuple[tuple[str, str], ...] = (
    # A part of the code to the row above that speaks of it; the first that fits.
    (r"Throttl|RequestLimit|TooManyRequests|SlowDown|RateExceeded", "Throttling"),
    (r"LimitExceeded|QuotaExceeded|^TooMany", "LimitExceeded"),
    (r"AlreadyExists|NameInUse|^Duplicate", "AlreadyExists"),
    (r"CertificateNotFound|UnsupportedCertificate", "CertificateNotFound"),
    (r"InsufficientCapabilities", "InsufficientCapabilities"),
)
_DENIED = re.compile(r"AccessDenied|UnauthorizedOperation|NotAuthorized|Forbidden")
_ACTION = re.compile(r"(?:perform|action|for):? ?\[?([a-z0-9-]+:[A-Za-z0-9*]+)")
_OF_CLIENT: dict[str, str] = {
    "NoCredentialsError": "give AWS credentials: run `aws configure` or `aws sso login`, or set AWS_PROFILE",
    "PartialCredentialsError": _CHECK_KEYS,
    "CredentialRetrievalError": _RENEW,
    "ProfileNotFound": "name a profile of your AWS configuration with --profile",
    "NoRegionError": "give one with --region",
    "InvalidRegionError": "give the name of a region with --region",
    "SSOTokenLoadError": _RENEW,
    "UnauthorizedSSOTokenError": _RENEW,
    "TokenRetrievalError": _RENEW,
    "SSOError": _RENEW,
    "LoginRefreshRequired": _RENEW,
    "EndpointConnectionError": "check the network, and that the region exists",
    "ConnectTimeoutError": "check the network and the proxy",
    "ReadTimeoutError": "run the same command again; what was begun goes on in AWS",
    "ConnectionClosedError": "run the same command again; what was begun goes on in AWS",
    "ProxyConnectionError": "check HTTPS_PROXY",
    "SSLError": "check the proxy and AWS_CA_BUNDLE",
    "DataNotFoundError": "install a newer boto3",
    "UnknownServiceError": "install a newer boto3",
}


class Refusal(TargetRefused):
    """A service of AWS refused a call. ``aws_code``, ``words``: what it said."""

    def __init__(self, message: str, aws_code: str, words: str) -> None:
        super().__init__(message)
        self.aws_code = aws_code
        self.words = words


def of_service(response: Mapping[str, object], operation: str) -> Refusal:
    """Return the refusal that an answer of a service is."""
    error = response.get("Error")
    found = error if isinstance(error, Mapping) else {}
    code, words = str(found.get("Code", "unknown")), said(str(found.get("Message", "")))
    return Refusal(f'AWS refused {operation}: "{words}" ({code}); {_advice(code, words)}', code, words)


def of_client(error: Exception, operation: str) -> TargetRefused:
    """Return the refusal for what went wrong on this side of AWS: credentials, configuration, network."""
    name = type(error).__name__
    kinds = [kind.__name__ for kind in type(error).__mro__]
    advice = next((_OF_CLIENT[kind] for kind in kinds if kind in _OF_CLIENT), "check the AWS configuration")
    return TargetRefused(f'{operation} could not be asked of AWS: "{said(str(error))}" ({name}); {advice}')


def said(words: str) -> str:
    """Return AWS's words on one line, without control characters, cut where they go on for long."""
    line = escape(" ".join(words.split())).replace('"', "'").rstrip(".")
    return line if len(line) <= _WORDS_CHARACTERS else line[: _WORDS_CHARACTERS - 1] + "…"


def _advice(code: str, words: str) -> str:
    if _DENIED.search(code):
        action = _ACTION.search(words)
        needed = action.group(1) if action else "the action"
        return f"have {needed} allowed for you, or use other credentials with --profile"
    if code in _ADVICE:
        return _ADVICE[code]
    group = next((row for part, row in _GROUPS if re.search(part, code)), None)
    if group is not None:
        return _ADVICE[group]
    # Some services say "ValidationError" to everything, and only the words tell.
    if re.search(r"certificate", words, re.IGNORECASE):
        return _ADVICE["CertificateNotFound"]
    if re.search(r"limit|quota|maximum number", words, re.IGNORECASE):
        return _ADVICE["LimitExceeded"]
    return "correct what AWS names and run the same command again"
