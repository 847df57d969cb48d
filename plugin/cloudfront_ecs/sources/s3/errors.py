"""What S3's answers mean, in words that say what to do about them.

The only module that says which answers mean "gone for good".

Facts: S3 is strongly consistent: an object it does not know does not exist.  ``403`` says
nothing about existence: without ``s3:ListBucket`` an object that is gone is "denied", too.
HEAD tells a status and no code.  Reading the version of a delete marker is ``405``.

Source: Amazon S3 API reference (error responses, GetObject, HeadObject), Amazon S3 user guide
("Troubleshoot access denied", SSE-KMS), AWS KMS API reference (common errors).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from cloudfront_ecs.errors import CloudFrontEcsError, PayloadError, SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

_GONE = frozenset({"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "NotFound", "404"})
_DENIED = frozenset({"AccessDenied", "403", "Forbidden"})
_ELSEWHERE = frozenset(
    {
        "PermanentRedirect",
        "301",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
    }
)
_DECRYPT = (
    "allow 'kms:Decrypt' on the key: in the role's policy, and in the key's where it belongs to "
    "another account"
)
_READ = (
    "allow 's3:GetObject' on it, and 's3:ListBucket' on the bucket, without which an object that "
    "is gone looks the same; a requester-pays bucket needs 'requester_pays'"
)
_KEYS = "no newer credentials were found"
_HINTS: Mapping[str, str] = {
    "KMS.DisabledException": "enable the key again",
    "KMS.NotFoundException": "the key that the object was encrypted with is gone, or hidden",
    "KMS.KMSInvalidStateException": "the key awaits its deletion or its key material",
    "KMS.InvalidStateException": "the key awaits its deletion or its key material",
    "KMS.AccessDeniedException": _DECRYPT,
    "KMS.ThrottlingException": "raise the key's request quota, or turn on S3 Bucket Keys",
    "SlowDown": "S3 asks for fewer requests",
    "ExpiredToken": _KEYS,
    "TokenRefreshRequired": _KEYS,
    "InvalidAccessKeyId": _KEYS,
    "RequestTimeTooSkewed": "set this machine's clock",
    "400": "HEAD tells no more; expired credentials and customer-provided keys look like this",
}
_NEEDED: Mapping[str, str] = {
    "ListObjectsV2": "allow 's3:ListBucket' on the bucket",
    "AssumeRole": "let the role trust this identity, with the right 'external_id'",
}


def s3_error(place: str, error: Exception, notice: bytes = b"") -> CloudFrontEcsError:
    """Return what an error of boto3 means for the object or bucket *place*.

    Only S3's own word that something does not exist is final.  Denied access, keys of
    KMS, archived objects, throttling, expired tokens and dead endpoints can all be mended.

    Args:
        place: The object's or bucket's name for people.
        error: What boto3 raised.
        notice: What named the object; kept if it turns out to be gone.
    """
    if not isinstance(error, ClientError):
        return SourceError(f"{place}: {type(error).__name__}: {error}")
    code = error_code(error)
    if code in _GONE or _is_delete_marker(error):
        return PayloadError("missing", f"{place}: {code}", raw=notice)
    message = error.response["Error"].get("Message", "")
    hint = _hint(code, message, error)
    return SourceError(f"{place}: {code}: {message}" + (f" ({hint})" if hint else ""))


def error_code(error: ClientError) -> str:
    """Return S3's code for an error; for HEAD the status."""
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def _hint(code: str, message: str, error: ClientError) -> str:
    told: Mapping[str, Any] = error.response["Error"]
    if code in _DENIED:
        if "kms:" in message.lower():
            return _DECRYPT
        return _NEEDED.get(error.operation_name, _READ)
    if code in _ELSEWHERE:
        region = told.get("Region") or _header(error, "x-amz-bucket-region")
        return f"the bucket is in {region!r}: set 'region'" if region else "set 'region'"
    if code == "InvalidObjectState":
        archive = told.get("StorageClass", "an archive")
        return f"the object lies in {archive}: restore it, and it is read"
    if "Server Side Encryption" in message:
        return "encrypted with a customer-provided key (SSE-C), which cannot be read here"
    return _HINTS.get(code, "")


def _is_delete_marker(error: ClientError) -> bool:
    return (
        error_code(error) in {"MethodNotAllowed", "405"}
        and _header(error, "x-amz-delete-marker") == "true"
    )


def _header(error: ClientError, name: str) -> str:
    headers: Mapping[str, str] = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return headers.get(name, "")
