"""Certificates and tokens: who is known, who is not any more."""

import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kttun.sandbox.kinds import SERVICE_ACCOUNTS
from kttun.sandbox.status import StatusError
from kttun.sandbox.store import Store
from kttun.sandbox.users import ALGORITHM, ISSUER, Authenticator, User, account_user

KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def store():
    made = Store()
    made.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot", "namespace": "shop"}})
    return made


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_a_certificate_names_user_and_groups(store):
    subject = ((("organizationName", "dev"),), (("organizationName", "ops"),), (("commonName", "jane"),))
    user = Authenticator(store, KEY).user({}, {"subject": subject})
    assert user == User("jane", ("dev", "ops", "system:authenticated"))


def test_a_token_is_its_account(store):
    authenticator = Authenticator(store, KEY)
    token = authenticator.token(store.get(SERVICE_ACCOUNTS, "shop", "robot"))
    user = authenticator.user(bearer(token), None)
    assert user == account_user("shop", "robot")
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated")


def claims(store, **changes):
    token = Authenticator(store, KEY).token(store.get(SERVICE_ACCOUNTS, "shop", "robot"))
    return jwt.decode(token, KEY.public_key(), [ALGORITHM], audience=ISSUER) | changes


def test_tokens_that_are_not_good(store):
    other = ec.generate_private_key(ec.SECP256R1())
    bad = [
        "garbage",
        jwt.encode(claims(store, exp=int(time.time()) - 5), KEY, ALGORITHM),
        jwt.encode(claims(store), other, ALGORITHM),
        jwt.encode(claims(store, aud=["somebody"]), KEY, ALGORITHM),
        jwt.encode({"exp": int(time.time()) + 100, "aud": ISSUER}, KEY, ALGORITHM),
        jwt.encode(claims(store), "a secret that is as long as the key", "HS256"),
    ]
    for headers in [{}, {"Authorization": "Basic eDp5"}, *map(bearer, bad)]:
        with pytest.raises(StatusError) as refused:
            Authenticator(store, KEY).user(headers, None)
        assert (refused.value.code, refused.value.message) == (401, "Unauthorized")


def test_a_token_dies_with_its_account(store):
    authenticator = Authenticator(store, KEY)
    token = authenticator.token(store.get(SERVICE_ACCOUNTS, "shop", "robot"))
    store.delete(SERVICE_ACCOUNTS, "shop", "robot")
    store.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot", "namespace": "shop"}})
    with pytest.raises(StatusError):
        authenticator.user(bearer(token), None)
