"""One application per test: the weight check behind the CDS Hooks router."""

import pytest

from tests.conformance.client import Client
from tests.conformance.weight_check import WeightCheck, weight_app


@pytest.fixture
def services() -> WeightCheck:
    return WeightCheck()


@pytest.fixture
def client(services: WeightCheck) -> Client:
    return Client(weight_app(services))
