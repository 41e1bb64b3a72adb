"""Single keys, and how somebody wants pages to look."""

from playwright.sync_api import expect


def heading(page, text):
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def single_keys_lead_to_pages_and_rows_and_do_nothing_while_somebody_types(console):
    with console.page("ada") as page:
        page.goto("/")
        page.keyboard.press("g")
        page.keyboard.press("b")
        heading(page, "Batches")
        rows = page.locator("tbody th a")
        for key, row in [("j", 0), ("j", 1), ("k", 0)]:
            page.keyboard.press(key)
            expect(rows.nth(row)).to_be_focused()
        name = rows.nth(0).inner_text()
        page.keyboard.press("Enter")
        heading(page, f"Batch {name}")

        page.keyboard.press("/")
        expect(page.locator("#find")).to_be_focused()
        page.keyboard.type("gb?jx")
        assert page.locator("#find").input_value() == "gb?jx"
        page.keyboard.press("Escape")
        expect(page.locator("#find")).not_to_be_focused()
        page.keyboard.press("?")
        page.wait_for_url("**/help#keys-list")


def r_fetches_the_page_at_once(console):
    with console.page("ada") as page:
        page.clock.install()
        page.goto("/workers")
        with page.expect_response("**/_/workers"):
            page.keyboard.press("r")


def keys_can_be_turned_off_and_colours_chosen_without_the_script(console):
    with console.page("ada", java_script_enabled=False) as page:
        page.goto("/batches?state=finished")
        page.locator("#display summary").click()
        page.get_by_label("Colours").select_option("dark")
        page.get_by_label("Single keys").select_option("nokeys")
        page.get_by_role("button", name="Save").click()
        page.wait_for_url("**/batches?state=finished")
        assert page.locator("html").get_attribute("data-theme") == "dark"
        cookies = page.context.storage_state()
        page.goto("/help")
        expect(page.locator("main")).to_contain_text("Single keys are off")
    console.sessions["ada without keys"] = cookies
    with console.page("ada without keys", color_scheme="light") as page:
        page.goto("/batches")
        back = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert back == "rgb(22, 24, 27)", back
        page.keyboard.press("?")
        page.keyboard.press("j")
        assert page.url.endswith("/batches") and page.evaluate("document.activeElement === document.body")


def colours_are_chosen_before_anybody_signs_in(console):
    with console.page(color_scheme="light") as page:
        page.goto("/sign-in?to=/workers")
        page.get_by_text("Display", exact=True).click()
        page.get_by_label("Colours").select_option("dark")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        assert page.url.endswith("/sign-in?to=/workers"), page.url
        [kept] = page.context.cookies()
        assert (kept["name"], kept["value"]) == ("offboarder-display", "dark"), kept
        console.fill_sign_in(page, "ada", console.known["people"]["ada"])
        page.wait_for_url("**/workers")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def times_are_utc_or_those_of_the_device(console):
    with console.page("ada", timezone_id="Asia/Kolkata") as page:
        page.goto("/workers")
        expect(page.locator("#as-of")).to_contain_text(" UTC")
        page.locator("#display summary").click()
        page.get_by_label("Times").select_option("local")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#as-of")).to_contain_text("UTC+05:30")
        page.goto("/batches")
        for time in page.locator("main time").all():
            assert time.inner_text().endswith(" UTC+05:30"), time.inner_text()


def the_menu_is_folded_on_a_narrow_screen(console):
    with console.page("ada", viewport={"width": 320, "height": 640}) as page:
        page.goto("/workers")
        link = page.get_by_role("link", name="Batches", exact=True)
        expect(link).to_be_hidden()
        page.locator("#menu summary").click()
        link.click()
        heading(page, "Batches")
        page.set_viewport_size({"width": 1280, "height": 800})
        expect(link).to_be_visible()


TESTS = [
    colours_are_chosen_before_anybody_signs_in,
    single_keys_lead_to_pages_and_rows_and_do_nothing_while_somebody_types,
    r_fetches_the_page_at_once,
    keys_can_be_turned_off_and_colours_chosen_without_the_script,
    times_are_utc_or_those_of_the_device,
    the_menu_is_folded_on_a_narrow_screen,
]
