"""The pages in a real browser: the scripts run under the pages' own content security policy and draw what they should."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

QUIET = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture
def dom(require_program, tmp_path: Path):
    """Give the document of a page as it stands after its scripts ran, and what the browser complained about."""
    chromium = require_program("chromium", "chromium-browser", "google-chrome")

    def load(url: str) -> tuple[str, str]:
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", *QUIET, f"--user-data-dir={tmp_path / 'profile'}"]
        command += ["--virtual-time-budget=5000", "--enable-logging=stderr", "--dump-dom", url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout, "\n".join(line for line in done.stderr.splitlines() if ":CONSOLE" in line)

    return load


def test_the_docs_page_draws_the_api_and_the_home_page_its_form(serve, saved_model, dom) -> None:
    server = serve(saved_model("iris_named").path, "--workers", "1")
    docs, complaints = dom(server.url + "/docs")
    assert complaints == ""
    for shown in ("/models/iris_named/versions/1/predict", "application/problem+json", "petal width (cm)"):
        assert shown in docs
    home, complaints = dom(server.url + "/")
    assert complaints == ""
    for shown in ("petal width (cm)", "curl -s", "Predict", "setosa"):
        assert shown in home
    for page in (docs, home):
        assert "https://" not in page  # nothing comes from, or leads to, another host


def test_names_from_a_file_are_text_on_the_pages(serve, tmp_path: Path, require_module, dom) -> None:
    """A column called like a script shows as it is written and runs nothing."""
    joblib, linear, pd = require_module("joblib"), require_module("sklearn.linear_model"), require_module("pandas")
    evil = "<script>document.title='owned'</script>"
    frame = pd.DataFrame({evil: [0.0, 1.0, 2.0], "b&amp;": [1.0, 0.0, 1.0]})
    joblib.dump(linear.LinearRegression().fit(frame, [0.0, 1.0, 2.0]), tmp_path / "evil.pkl")
    server = serve(tmp_path / "evil.pkl", "--workers", "1")
    for path in ("/", "/docs"):
        page, complaints = dom(server.url + path)
        assert complaints == ""
        assert "<title>owned" not in page
        assert "&lt;script&gt;" in page and evil not in page
        assert "b&amp;amp;" in page
