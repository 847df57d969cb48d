from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cloudfront_ecs.batches import WriteResult
from cloudfront_ecs.errors import SinkBlockedError
from sinks.forward_parts import SIZE, ack_all, documents, sink
from sinks.scripted_receiver import receiver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.certificates import Certificate

    Make = Callable[..., Path]


@pytest.fixture(name="self_signed")
def _self_signed(tmp_path: Path) -> Make:
    """Return a function that writes a certificate and its key into one file."""

    def make(*, address: str = "127.0.0.1", days: int = 1) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=10))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(names, critical=False)
            .sign(key, hashes.SHA256())
        )
        path = tmp_path / f"{address}-{days}.pem"
        pem = serialization.Encoding.PEM
        path.write_bytes(
            certificate.public_bytes(pem)
            + key.private_bytes(
                pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return path

    return make


def server_side(path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_later_are_spoken(self_signed: Make, version: ssl.TLSVersion) -> None:
    path = self_signed()
    context = server_side(path)
    context.minimum_version = context.maximum_version = version

    with (
        receiver(ack_all, tls=context) as server,
        sink(server.address, tls={"ca": str(path)}) as forward,
    ):
        results = [forward.write(documents()) for _ in range(3)]

    assert results == [WriteResult(acked=SIZE)] * 3
    assert server.connections == 1


@pytest.mark.parametrize(
    ("certificate", "problem"),
    [
        pytest.param({"days": -1}, "certificate has expired", id="expired"),
        pytest.param({"address": "127.0.0.2"}, "IP address mismatch", id="wrong-name"),
    ],
)
def test_a_bad_certificate_is_refused(
    self_signed: Make, certificate: dict[str, Any], problem: str
) -> None:
    path = self_signed(**certificate)

    with (
        receiver(ack_all, tls=server_side(path)) as server,
        sink(server.address, tls={"ca": str(path)}) as forward,
        pytest.raises(SinkBlockedError, match=f"certificate refused: .*{problem}"),
    ):
        forward.write(documents())

    assert server.messages == []


def test_a_self_signed_certificate_is_refused_unless_trusted(self_signed: Make) -> None:
    with (
        receiver(ack_all, tls=server_side(self_signed())) as server,
        sink(server.address, tls={}) as forward,
        pytest.raises(SinkBlockedError, match=r"self-signed certificate .set tls\.ca"),
    ):
        forward.write(documents())


def test_a_receiver_may_ask_for_our_certificate(
    self_signed: Make, certificate: Certificate
) -> None:
    path = self_signed()
    context = server_side(path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(path)
    ours = {"ca": str(path), "cert": str(path)}
    other = {"ca": str(path), "cert": str(certificate.chain), "key": str(certificate.key)}

    with receiver(ack_all, tls=context) as server:
        with sink(server.address, tls=ours) as forward:
            result = forward.write(documents())
        for table in ({"ca": str(path)}, other):
            with sink(server.address, tls=table) as forward, pytest.raises(SinkBlockedError) as e:
                forward.write(documents())
            assert "receiver refused TLS: " in str(e.value)

    assert result == WriteResult(acked=SIZE)
