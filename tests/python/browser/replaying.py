"""Replays, in the ways in which people begin them."""

import os
import re
import signal

from playwright.sync_api import expect

from support import eventually, open_dead_letters


def tab_to(page, locator):
    """Moves the focus as a keyboard does. It has to be visible where it is."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if locator.evaluate("(one) => one === document.activeElement"):
            style = locator.evaluate("(one) => getComputedStyle(one).outlineStyle")
            assert style != "none", "the focus is visible"
            return
    raise AssertionError(f"no Tab leads to {locator}")


def assert_done(page, items):
    page.wait_for_url("**/operations/0*")
    expect(page.locator("main")).to_contain_text(f"Done: {items} of {items}")


def a_replay_by_keyboard_alone_with_a_wrong_number_first(console):
    with console.page("ada") as page:
        open_dead_letters(page, "/dead-letters?batch=b-keyboard", 1)
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="To the content")).to_be_focused()
        tab_to(page, page.get_by_role("link", name="Replay what is safe"))
        page.keyboard.press("Enter")
        page.wait_for_url("**/operations/new?batch=b-keyboard")
        for number in ["12", "11"]:
            tab_to(page, page.get_by_label("Why"))
            page.keyboard.press("Control+a")
            page.keyboard.type("CXone is back")
            tab_to(page, page.get_by_label("Type 11 to confirm"))
            page.keyboard.press("Control+a")
            page.keyboard.type(number)
            tab_to(page, page.get_by_role("button", name="Replay"))
            page.keyboard.press("Enter")
            if number == "12":
                expect(page.get_by_role("alert").first).to_contain_text("is 11; nothing was done.")
                assert page.get_by_label("Why").input_value() == "CXone is back"
        assert_done(page, 11)


def a_replay_without_the_script(console):
    with console.page("bob", java_script_enabled=False) as page:
        page.goto("/batches/b-plain")
        page.get_by_role("link", name="Replay what is safe").click()
        page.get_by_label("Why").fill("CXone is back")
        page.get_by_role("button", name="Replay").click()
        page.wait_for_url("**/operations/0*")
        address = page.url
        eventually(lambda: page.goto(address) and "Done: 2 of 2" in page.locator("main").inner_text())


def the_second_of_two_operators_is_told(console):
    with console.page("ada") as first, console.page("bob") as second:
        for page in [first, second]:
            page.goto("/operations/new?batch=b-two")
            page.get_by_label("Why").fill("CXone is back")
        second.get_by_role("button", name="Replay").click()
        second.wait_for_url("**/operations/0*")
        first.get_by_role("button", name="Replay").click()
        expect(first.get_by_role("alert").first).to_contain_text(re.compile("bob, .* began an operation at"))
        expect(first.get_by_role("alert").first).to_contain_text("Nothing was done.")
        assert_done(second, 2)


def an_operation_goes_on_when_its_worker_is_killed(console):
    """Last: one worker is gone afterwards. The page of the other one stays current."""
    with console.page("ada") as page, console.page("ada") as other:
        names = {}
        for worker in console.known["workers"]:
            page.goto(f"{worker['admin']}/help")
            footer = page.locator("footer").inner_text()
            names[re.search(r"Answered by (\S+),", footer)[1]] = worker
        page.goto("/operations/new?batch=b-killed")
        page.get_by_label("Why").fill("CXone is back")
        page.get_by_label("At most").fill("1/s")
        page.get_by_label("Type 16 to confirm").fill("16")
        page.get_by_role("button", name="Replay").click()
        page.wait_for_url("**/operations/0*")
        # What runs is asked for every 2 s, and what has ended is not.
        expect(page.locator("main")).to_contain_text(re.compile(r"Running: [2-9] of 16"))
        page.reload()
        expect(page.locator("[data-live]")).to_have_attribute("data-every", "2")
        by = page.locator("dt:text-is('Worker') + dd").inner_text().split(",")[0]
        killed = names.pop(by)
        [left] = names.values()
        path = page.url.removeprefix(console.origin)
        page.goto(killed["admin"] + path)
        other.goto(left["admin"] + path)
        os.kill(killed["pid"], signal.SIGKILL)
        expect(page.locator("#stale")).to_contain_text("Not current")
        expect(other.locator("main")).to_contain_text("Done: 16 of 16")
        expect(other.locator("main")).to_contain_text("taken up 2 times")
        other.reload()
        expect(other.locator("[data-live]")).to_have_attribute("data-every", "5")


TESTS = [
    a_replay_by_keyboard_alone_with_a_wrong_number_first,
    a_replay_without_the_script,
    the_second_of_two_operators_is_told,
    an_operation_goes_on_when_its_worker_is_killed,
]
