"""Vectors for other programs: OpenAI's own client asks, and odd requests are refused."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from openai import BadRequestError, NotFoundError, OpenAI

from needlepoint.encoders.address import open_encoder
from needlepoint.intake.decode import decode
from needlepoint.library import Library


def data_url(path: Path) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()


@pytest.fixture
def openai(client: TestClient) -> OpenAI:
    """OpenAI's client, its requests handed to the app."""
    return OpenAI(
        base_url="http://127.0.0.1:8417/v1", api_key="none", max_retries=0, http_client=client
    )


def test_openai_s_client_gets_the_encoder_s_vectors(openai: OpenAI) -> None:
    texts = ["a red bicycle", "a dog"]
    answer = openai.embeddings.create(model="builtin", input=texts)
    expected = open_encoder("builtin").text_features(texts).vector
    assert [one.index for one in answer.data] == [0, 1]
    np.testing.assert_allclose([one.embedding for one in answer.data], expected, atol=1e-6)
    plain = openai.embeddings.create(model="builtin", input="a dog", encoding_format="float")
    np.testing.assert_allclose(plain.data[0].embedding, expected[1], atol=1e-6)


def test_many_texts_are_embedded_in_their_order(client: TestClient) -> None:
    texts = [f"picture number {number}" for number in range(20)]
    wish = {"model": "builtin", "input": texts}
    told = client.post("/v1/embeddings", json=wish).json()["data"]
    expected = open_encoder("builtin").text_features(texts).vector
    assert [one["index"] for one in told] == list(range(20))
    np.testing.assert_allclose([one["embedding"] for one in told], expected, atol=1e-6)


def test_models_are_those_of_the_library(openai: OpenAI, served: Library) -> None:
    assert [model.id for model in openai.models.list()] == ["builtin"]
    with pytest.raises(NotFoundError):
        openai.embeddings.create(model="text-embedding-3-small", input="a dog")


def test_openai_s_client_reads_refusals(openai: OpenAI) -> None:
    with pytest.raises(BadRequestError) as told:
        openai.embeddings.create(model="builtin", input="a dog", dimensions=7)
    assert "`dimensions` can only be 64" in told.value.response.json()["detail"]


@pytest.mark.parametrize("space", [None, "look", "words"])
def test_pictures_are_embedded(
    client: TestClient, served_pictures: Path, space: str | None
) -> None:
    path = served_pictures / "photo-cat.jpg"
    wish = {"model": "builtin", "input": [{"image": data_url(path)}], "space": space}
    told = client.post("/v1/embeddings", json=wish).json()
    seen = open_encoder("builtin").image_features([decode(path, at_least=1024).pixels])
    expected = seen.others["words"] if space == "words" else seen.vector
    assert told["space"] == (space or "look")
    np.testing.assert_allclose(told["data"][0]["embedding"], expected[0], atol=1e-5)
    listed = {"model": "builtin", "modality": "image", "input": data_url(path), "space": space}
    assert client.post("/v1/embeddings", json=listed).json()["data"] == told["data"]


def test_words_and_pictures_meet_in_one_space(client: TestClient, served_pictures: Path) -> None:
    def vectors(**wish: Any) -> Any:
        told = client.post("/v1/embeddings", json={"model": "builtin", **wish}).json()
        return np.array([one["embedding"] for one in told["data"]])

    names = ("photo-cat", "photo-coffee", "photo-rocket")
    pictures = [data_url(served_pictures / f"{name}.jpg") for name in names]
    seen = vectors(modality="image", input=pictures, space="words")
    read = vectors(input=["a cat", "a cup of coffee", "a rocket"])
    assert (read @ seen.T).argmax(axis=1).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({}, (422, "invalid")),
        ({"input": "x"}, (422, "invalid")),
        ({"model": "builtin", "input": []}, (422, "invalid")),
        ({"model": "builtin", "input": ""}, (422, "invalid")),
        ({"model": "builtin", "input": [1, 2]}, (422, "invalid")),
        ({"model": "builtin", "input": ["x"] * 257}, (422, "invalid")),
        ({"model": "builtin", "input": "x", "encoding_format": "int8"}, (422, "invalid")),
        ({"model": "hf:x/y", "input": "x"}, (404, "no-such-model")),
        ({"model": "onnx:/etc", "input": "x"}, (404, "no-such-model")),
        ({"model": "builtin", "input": "x", "space": "look"}, (400, "usage")),
        ({"model": "builtin", "input": "x", "modality": "image"}, (400, "usage")),
        ({"model": "builtin", "input": [{"image": "https://example.org/a.jpg"}]}, (400, "usage")),
        ({"model": "builtin", "input": [{"image": "file:///etc/passwd"}]}, (400, "usage")),
        ({"model": "builtin", "input": [{"image": "data:;base64,@@"}]}, (400, "usage")),
        (
            {"model": "builtin", "input": [{"image": "data:;base64,PHN2Zz4="}]},
            (415, "not-a-picture"),
        ),
        ({"model": "builtin", "input": ["x", {"image": "data:;base64,eA=="}]}, (400, "usage")),
        ({"model": "builtin", "modality": "text", "input": [{"image": "data:,x"}]}, (400, "usage")),
    ],
)
def test_odd_requests_are_refused(
    client: TestClient, wish: dict[str, Any], told: tuple[int, str]
) -> None:
    answer = client.post("/v1/embeddings", json=wish)
    assert (answer.status_code, answer.json()["type"].removeprefix("urn:needlepoint:")) == told
