"""The token: its shape, its strength, its signature, its successors, and what it never shows."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from base64 import urlsafe_b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import Signer

from openclaw_middleware.core.record import tag_of
from openclaw_middleware.core.token import (
    ID_BYTES,
    SECRET_BYTES,
    Token,
    mint,
    parse,
    successor,
    user_tag,
)
from openclaw_middleware.signing import SALT, TokenSigner

KEY, OLD, FOREIGN = "k" * 32, "o" * 32, "f" * 32
SIGNER = TokenSigner([KEY, OLD])
TOKENS = st.builds(
    lambda user, seed, generation: Token(
        mint("" if user is None else user_tag(b"key", user), lambda n: (seed * n)[:n]).id,
        generation,
        mint("", lambda n: (seed * n)[:n]).secret,
    ),
    st.none() | st.text(max_size=10),
    st.binary(min_size=1, max_size=40),
    st.integers(0, 999_999_999),
)


@given(TOKENS)
def test_a_token_is_read_back_as_it_was_written(token: Token) -> None:
    """Text and signature keep id, generation and secret."""
    assert parse(token.text) == token
    assert SIGNER.verify(SIGNER.sign(token)) == token


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ("id", ""),
        ("id", "." + "a" * 21),
        ("id", "." + "a" * 23),
        ("id", "a" * 15 + "." + "a" * 22),
        ("id", "a" * 17 + "." + "a" * 22),
        ("id", "a" * 22),
        ("id", "." + "a" * 21 + "é"),
        ("id", "." + "a" * 21 + "+"),
        ("id", "." + "a" * 21 + "\n"),
        ("id", ".." + "a" * 21),
        ("generation", ""),
        ("generation", "-1"),
        ("generation", "+1"),
        ("generation", "00"),
        ("generation", "01"),
        ("generation", "1_0"),
        ("generation", " 1"),
        ("generation", "1e3"),
        ("generation", "1" * 10),
        ("generation", "9" * 4000),
        ("generation", "\u0661"),
        ("generation", "\uff11"),
        ("generation", "\u00b2"),
        ("secret", ""),
        ("secret", "A" * 42),
        ("secret", "A" * 44),
        ("secret", "A" * 42 + "="),
        ("secret", "A" * 43 + "\n"),
        ("secret", "A" * 42 + "\uff21"),
    ],
)
def test_any_other_shape_is_no_token(part: str, wrong: str) -> None:
    """Also under our own signature: lengths, alphabets and digits are exact."""
    parts = {"id": "." + "a" * 22, "generation": "0", "secret": "A" * 43}
    text = ".".join({**parts, part: wrong}.values())

    assert parse(text) is None
    signer = Signer(KEY, salt=SALT, key_derivation="hmac", digest_method=hashlib.sha256)
    if text.isascii():
        assert SIGNER.verify(signer.sign(text).decode()) is None


@given(st.text(max_size=200))
def test_no_text_upsets_the_reader(text: str) -> None:
    """Anything at all is None or a token that reads the same."""
    found = parse(text)

    assert found is None or found.text == text
    assert SIGNER.verify(text) is None


@given(TOKENS, st.data())
def test_a_single_changed_character_is_a_forgery(token: Token, data: st.DataObject) -> None:
    """Of the id, the generation, the secret, the separators or the signature."""
    signed = SIGNER.sign(token)
    at = data.draw(st.integers(0, len(signed) - 1))
    other = data.draw(st.characters(max_codepoint=0x2FF).filter(lambda c: c != signed[at]))
    altered = signed[:at] + other + signed[at + 1 :]

    assert SIGNER.verify(altered) is None


@given(TOKENS, st.integers(0, 200))
def test_a_cut_or_prolonged_token_is_a_forgery(token: Token, length: int) -> None:
    """Whatever is missing or added."""
    signed = SIGNER.sign(token)

    assert SIGNER.verify(signed[: min(length, len(signed) - 1)]) is None
    assert SIGNER.verify(signed + "A" * (length + 1)) is None
    assert SIGNER.verify("A" * (length + 1) + signed) is None


def respelled(value: str) -> set[str]:
    """Other texts that decoders of base64 take for the same signature."""
    rest, last = value[:-1], value[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    first = alphabet.index(last) & ~3
    others = {rest + alphabet[first + bits] for bits in range(4)}
    others |= {value + "=", value + "==", value + " ", f"{rest} {last}", f"{rest}~{last}"}
    head, _, signature = value.rpartition(".")
    others.add(f"{head}.{signature.replace('-', '+').replace('_', '/')}")
    return others - {value}


def test_a_signature_has_one_spelling() -> None:
    """Otherwise one token would be several strings, for whoever compares or counts them."""
    for _ in range(50):
        value = SIGNER.sign(mint("", os.urandom))
        assert SIGNER.verify(value) is not None
        for other in respelled(value):
            assert SIGNER.verify(other) is None, other


@pytest.mark.parametrize(
    "options",
    [
        {"salt": b"openclaw-middleware.token.0"},
        {"salt": b"openclaw-middleware.token.2"},
        {"salt": b"itsdangerous.Signer"},
        {"salt": b"cookie-session"},
        {"digest_method": hashlib.sha1},
        {"digest_method": hashlib.sha512},
        {"digest_method": hashlib.md5},
        {"key_derivation": "django-concat"},
        {"key_derivation": "concat"},
        {"key_derivation": "none"},
        {"sep": b"|"},
        {"secret_key": FOREIGN},
        {"secret_key": ""},
    ],
    ids=str,
)
def test_other_ways_of_signing_are_forgeries(options: dict[str, object]) -> None:
    """Another salt, version, digest, derivation or key: the token cannot choose."""
    made = {
        "secret_key": KEY,
        "salt": SALT,
        "key_derivation": "hmac",
        "digest_method": hashlib.sha256,
    }
    signer = Signer(**{**made, **options})  # type: ignore[arg-type]

    assert SIGNER.verify(signer.sign(mint("", os.urandom).text).decode()) is None


def test_an_unsigned_token_is_a_forgery() -> None:
    """With no signature, an empty one, or the word "none" in its place."""
    text = mint("", os.urandom).text

    assert [SIGNER.verify(text + end) for end in ("", ".", ".none", "..")] == [None] * 4


def test_the_current_key_signs_and_all_verify() -> None:
    """A token signed under the former key is ours; one signed now does not need that key."""
    token = mint("", os.urandom)

    assert SIGNER.verify(TokenSigner([OLD]).sign(token)) == token
    assert TokenSigner([KEY]).verify(SIGNER.sign(token)) == token
    assert TokenSigner([OLD]).verify(SIGNER.sign(token)) is None


def test_a_minted_token_has_its_full_strength() -> None:
    """128 bits of id, 256 of secret, from the given source and from nowhere else."""
    asked: list[int] = []

    def source(count: int) -> bytes:
        asked.append(count)
        return bytes(range(count))

    token = mint("t" * 16, source)

    assert asked == [ID_BYTES, SECRET_BYTES] == [16, 32]
    assert urlsafe_b64decode(token.secret + "=") == bytes(range(32))
    assert urlsafe_b64decode(token.id.partition(".")[2] + "==") == bytes(range(16))
    assert token.generation == 0


def test_ten_thousand_tokens_share_nothing() -> None:
    """Neither id nor secret repeats."""
    tokens = [mint("", os.urandom) for _ in range(10_000)]

    assert len({token.id for token in tokens}) == len({t.secret for t in tokens}) == 10_000


@given(st.text(st.characters(exclude_categories=()), max_size=50), st.binary(min_size=1))
def test_a_users_tag_has_a_fixed_shape_and_depends_on_key_and_user(user: str, key: bytes) -> None:
    """96 bits of HMAC, whatever the user id is made of; the user id does not show."""
    tag = user_tag(key, user)

    assert re.fullmatch(r"[A-Za-z0-9_-]{16}", tag)
    assert tag == user_tag(key, user)
    assert tag != user_tag(key + b"x", user)
    assert tag != user_tag(key, user + "x")
    assert tag_of(mint(tag, os.urandom).id) == tag


def test_a_users_tag_never_changes() -> None:
    """It is the user's shard in stores that exist: another formula would lose every session."""
    expected = hmac.digest(b"key", b"ada", "sha256")[:12]

    assert urlsafe_b64decode(user_tag(b"key", "ada")) == expected
    assert user_tag(b"key", "ada") == "cIpyfSR1NX6qzE-I"


@given(TOKENS.filter(lambda token: token.generation < 999_999_999))
def test_a_successor_is_derived_and_cannot_be_guessed(token: Token) -> None:
    """The same key gives the same one; another key, secret, id or generation another."""
    following = successor(b"key", token)

    assert following == successor(b"key", token)
    assert (following.id, following.generation) == (token.id, token.generation + 1)
    assert parse(following.text) == following
    others = [
        successor(b"other", token),
        successor(b"key", Token(token.id, token.generation, "B" * 43)),
        successor(b"key", Token(token.id, token.generation + 1, token.secret)),
        successor(b"key", Token("." + "z" * 22, token.generation, token.secret)),
    ]
    assert following.secret not in [token.secret, *(other.secret for other in others)]


@given(TOKENS)
def test_a_token_shows_its_secret_to_nobody(token: Token) -> None:
    """`repr` and `str` name the public id; a store gets a hash."""
    assert token.secret not in f"{token!r} {token} {[token]}"
    assert token.id in repr(token)
    assert token.secret_hash == hashlib.sha256(token.secret.encode()).digest()
