"""The page of a service with several models, in a real browser."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from api.keys.key import Key, Scope, digest_of, new_secret
from api.keys.key_file import line_of, replace_line
from tests.support import axe
from tests.support.browser import WAIT_MS
from tests.support.stack import ROOT, Stack
from tests.support.upload_page import PICTURES, card, choose, expect_cards

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.long

CAT, CUP, ROCKET = PICTURES / "chelsea.jpg", PICTURES / "coffee.jpg", PICTURES / "rocket.jpg"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ResNet-50, and the same network under another name and version, which calls one of the classes otherwise."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("resnet50", "twin"):
        shutil.copytree(ROOT / "models" / "resnet50-int8", folder / name)
    labels, manifest = folder / "twin" / "labels.txt", folder / "twin" / "model.json"
    labels.write_text(labels.read_text().replace("\ntiger_cat\n", "\nmackerel_cat\n"))
    stated = json.loads(manifest.read_text()) | {"name": "twin", "version": "2"}
    stated["files"]["labels.txt"] = hashlib.sha256(labels.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(stated))
    return folder


@pytest.fixture(scope="module")
def settings(models: Path) -> dict[str, str]:
    return {"MODELS": "resnet50,twin", "MODELS_DIR": str(models), "WORKERS": "1"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str]) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("two"), **settings) as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


@pytest.fixture
def page(browser: Browser, service: Stack, request: pytest.FixtureRequest) -> Iterator[Page]:
    yield from opened(browser, service, getattr(request, "param", {}))


def opened(browser: Browser, service: Stack, options: dict[str, object]) -> Iterator[Page]:
    context = browser.new_context(**options)  # type: ignore[arg-type]  # of one test's own
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    broken: list[object] = []
    page.on("pageerror", lambda error: broken.append(error))  # noqa: PLW0108 # playwright writes on what it is handed
    page.goto(service.url)
    yield page
    context.close()
    assert broken == []


def test_a_person_chooses_which_model_answers_and_a_reload_keeps_the_choice(page):
    chooser = page.get_by_label("Model")
    expect(chooser).to_have_value("resnet50")
    choose(page, CAT)
    expect_cards(page, "done", 1)
    expect(card(page, "done").locator(".card-about")).to_contain_text("resnet50")
    chooser.select_option("twin")
    choose(page, CUP)
    expect_cards(page, "done", 2)
    expect(card(page, "done").first.locator(".card-about")).to_contain_text("twin@2")
    page.reload()

    expect(page.get_by_label("Model")).to_have_value("twin")
    expect(card(page, "done").first.locator(".card-about")).to_contain_text("twin@2")


@pytest.mark.parametrize("page", [{"java_script_enabled": False}], indirect=True)
def test_the_choice_works_without_javascript(page):
    """And is still made for the next picture."""
    page.get_by_label("Model").select_option("twin")
    choose(page, CAT)
    page.get_by_role("button", name="Classify").click()

    expect(page.locator("#results .card-about")).to_contain_text("twin@2")
    expect(page.get_by_label("Model")).to_have_value("twin")
    expect(page.locator("#labels option[value='mackerel cat']")).to_have_count(1)


def test_a_report_offers_the_labels_of_the_model_that_has_answered(page, service):
    """Beside a result; and on the page of reports, of whichever picture the report is about at the moment."""
    choose(page, CAT)
    expect_cards(page, "done", 1)
    page.get_by_label("Model").select_option("twin")
    choose(page, CUP)
    expect_cards(page, "done", 2)
    card(page, "done").first.get_by_text("Report it").click()
    page.get_by_label("What is it?").first.press_sequentially("mackerel")
    expect(page.get_by_role("option", name="mackerel cat")).to_be_visible()
    page.get_by_role("link", name="Feedback").click()
    page.get_by_role("radio", name="chelsea.jpg").check()
    field = page.get_by_label("What it really is")
    field.press_sequentially("mackerel")
    expect(page.get_by_text("No label of the model fits")).to_be_visible()
    page.get_by_role("radio", name="coffee.jpg").check()
    field.click()
    page.get_by_role("option", name="mackerel cat").click()
    page.get_by_role("button", name="Send report").click()
    expect(page.get_by_text("Thank you. Your report is stored.")).to_be_visible()

    assert [report(service)[name] for name in ("model", "correct_label")] == ["twin", "mackerel_cat"]


def test_another_picture_to_report_is_answered_by_the_model_that_was_chosen(page, service):
    page.get_by_label("Model").select_option("twin")
    page.get_by_role("link", name="Feedback").click()
    expect(page.get_by_role("group", name="Which picture?")).to_be_visible()
    page.get_by_label("Another picture").set_input_files(CUP)
    expect(page.get_by_role("radio", name="coffee.jpg")).to_be_checked()
    page.get_by_label("Comment").fill("a mug")
    page.get_by_role("button", name="Send report").click()
    expect(page.get_by_text("Thank you. Your report is stored.")).to_be_visible()

    assert [report(service)[name] for name in ("model", "prediction")] == ["twin", "espresso"]


def report(service: Stack) -> dict[str, str]:
    """The latest one."""
    with (service.data_dir / "feedback" / "feedback.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))[-1]


@pytest.mark.parametrize("page", [{"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 640}}], indirect=True)
def test_the_chooser_is_there_for_everybody(page):
    expect(page.get_by_label("Model")).to_be_visible()

    assert axe.violations(page, axe.source()) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_service_with_one_model_offers_no_choice(browser, settings, tmp_path):
    with Stack(tmp_path / "one", **settings | {"MODELS": "resnet50"}) as service:
        for page in opened(browser, service, {}):
            expect(page.get_by_label("Model")).to_be_hidden()


def test_where_keys_are_needed_the_models_are_told_to_who_has_one(browser, tmp_path, settings):
    """What was chosen holds for a reloaded page too, before it has a key again and knows the models."""
    secret, keys = new_secret(), tmp_path / "keys"
    replace_line(keys, "visitor", line_of(Key("visitor", digest_of(secret), frozenset({Scope.CLASSIFY}))))
    with Stack(tmp_path / "shut", API_KEYS_FILE=str(keys), **settings) as service:
        for page in opened(browser, service, {}):
            expect(page.get_by_label("Model")).to_be_hidden()
            assert "twin" not in page.content()
            choose(page, CAT)
            page.get_by_label("Your key").fill(secret)
            page.keyboard.press("Enter")
            expect_cards(page, "done", 1)
            page.get_by_label("Model").select_option("twin")
            choose(page, CUP)
            expect_cards(page, "done", 2)

            expect(card(page, "done").first.locator(".card-about")).to_contain_text("twin@2")
            page.reload()
            expect(page.get_by_label("Model")).to_be_hidden()
            choose(page, ROCKET)
            page.get_by_label("Your key").fill(secret)
            page.keyboard.press("Enter")
            expect_cards(page, "done", 3)

            expect(card(page, "done").first.locator(".card-about")).to_contain_text("twin@2")
            expect(page.get_by_label("Model")).to_have_value("twin")
