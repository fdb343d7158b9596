"""A pipeline as a workflow of GitHub Actions. Pure: facts in, text out.

Nothing that a user types reaches a script as code: parameters go through environment variables, never through an expression in `run`.
The schedule's time zone is GitHub's own `timezone` beside `cron` (their workflow syntax, `on.schedule`).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from .export_project import JUNIT, NOTEBOOKS, STATE, SUMMARY, Project, cron_of

_OWN = "github.event.pull_request.head.repo.full_name == github.repository"
MOST_INPUTS = 25
"""Inputs that GitHub takes for one workflow."""


def file_name(project: Project) -> str:
    """Where GitHub looks for it, from the root of the repository."""
    return f".github/workflows/{project.slug}.yml"


def written(project: Project) -> str:
    """The workflow as YAML."""
    return "\n".join([*_head(project), *_triggers(project), *_rights(project), *_job(project), *_after(project), ""])


def notes(project: Project) -> tuple[str, ...]:
    """What is left to do on the platform."""
    return (
        "Commit it: GitHub takes the schedule from the default branch.",
        f"To share a store, set secrets of the repository: {', '.join(project.variables)}; without, the state is cached between runs.",
    )


def _text(value: str) -> str:
    """A text in YAML. GitHub would evaluate an expression in it."""
    return json.dumps(value.replace("${{", "$ {{"), ensure_ascii=False)


def _head(project: Project) -> Iterator[str]:
    yield f"# Written by `mlops export {project.file} --to github`: the steps are in that file, this one only runs them."
    yield "# Edit it as you like: once it is edited, exporting again writes a file beside it."
    yield f"name: {_text(project.pipeline.name)}"
    yield ""


def _triggers(project: Project) -> Iterator[str]:
    yield "on:"
    if (schedule := cron_of(project.pipeline)) is not None:
        cron, zone = schedule
        yield "  schedule:"
        yield "    # The clock is that of the time zone. A time that it skips in spring comes as soon as it is past. GitHub may start late."
        yield f"    - cron: {_text(cron)}"
        yield f"      timezone: {_text(zone)}"
    yield "  pull_request:"
    params = list(project.pipeline.params.items())
    yield "  workflow_dispatch:" + ("" if params else " {}")
    if params:
        yield "    inputs:"
    for name, default in params[:MOST_INPUTS]:
        yield f"      {name}:"
        yield f"        description: {_text(f'Empty: {json.dumps(default, ensure_ascii=False)}, as in {project.file}')}"
        yield "        required: false"
        yield "        type: string"
    for name, _ in params[MOST_INPUTS:]:
        yield f"      # {name} has no input: GitHub takes {MOST_INPUTS} at most."
    yield ""


def _rights(project: Project) -> Iterator[str]:
    yield from ("permissions:", "  contents: read", "  pull-requests: write", "")
    if (project.pipeline.schedule or {}).get("overlap") != "allow":
        yield "concurrency:"
        yield f'  group: "mlops-{project.slug}-${{{{ github.ref }}}}"'
        yield from ("  cancel-in-progress: false", "")


def _job(project: Project) -> Iterator[str]:
    yield "jobs:"
    yield "  run:"
    yield "    runs-on: ubuntu-latest"
    yield "    env:"
    for name in project.variables:
        yield f"      {name}: ${{{{ secrets.{name} }}}}"
    for name in list(project.pipeline.params)[:MOST_INPUTS]:
        yield f"      PARAM_{name}: ${{{{ inputs.{name} }}}}"
    yield "    steps:"
    yield "      - uses: actions/checkout@v6"
    yield "      - uses: actions/setup-python@v6"
    yield "        with:"
    yield f"          python-version: {_text(project.python)}"
    if project.requirements and not project.requirements.endswith("uv.lock"):
        yield "          cache: pip"
        yield f"          cache-dependency-path: {_text(project.requirements)}"
    yield "      - name: Take over the state of earlier runs"
    yield "        uses: actions/cache/restore@v5"
    yield from _cached(project)
    yield f"          restore-keys: mlops/{project.slug}/"
    yield "      - name: Install"
    yield "        run: |"
    yield from (f"          {command}" for command in project.install)
    yield "      - name: Run"
    yield "        shell: bash"
    yield "        run: |"
    yield from (f"          {line}" for line in _script(project))


def _cached(project: Project) -> Iterator[str]:
    yield "        with:"
    yield "          path: |"
    yield from (f"            {path}" for path in STATE)
    yield f"          key: mlops/{project.slug}/${{{{ github.run_id }}}}-${{{{ github.run_attempt }}}}"


def _script(project: Project) -> Iterator[str]:
    yield f"for name in {' '.join(project.variables)}; do"
    yield '  [ -n "${!name}" ] || unset "$name"'
    yield "done"
    yield "parameters=()"
    for name in list(project.pipeline.params)[:MOST_INPUTS]:
        yield f'[ -z "$PARAM_{name}" ] || parameters+=(-p "{name}=$PARAM_{name}")'
    yield f'{project.mlops} run {shlex.quote(project.file)} "${{parameters[@]}}" --out {NOTEBOOKS} --junit {JUNIT} --summary {SUMMARY}'


def _after(project: Project) -> Iterator[str]:
    yield "      - name: Summary"
    yield "        if: always()"
    yield f'        run: test ! -f {SUMMARY} || cat {SUMMARY} >> "$GITHUB_STEP_SUMMARY"'
    yield "      - name: Keep the state, also of a run that failed"
    yield "        if: always()"
    yield "        uses: actions/cache/save@v5"
    yield from _cached(project)
    yield "      - uses: actions/upload-artifact@v6"
    yield "        if: always()"
    yield "        with:"
    yield f"          name: {project.slug}-${{{{ github.run_id }}}}-${{{{ github.run_attempt }}}}"
    yield "          if-no-files-found: warn"
    yield "          path: |"
    yield from (f"            {path}" for path in (NOTEBOOKS, JUNIT, SUMMARY))
    yield "      - name: Comment the metrics"
    # A fork's pull request has no right to comment.
    yield f"        if: always() && github.event_name == 'pull_request' && {_OWN}"
    yield "        env:"
    yield "          GH_TOKEN: ${{ github.token }}"
    yield "          NUMBER: ${{ github.event.pull_request.number }}"
    yield "        run: |"
    yield from (f"          {line}" for line in _comment(project))


def _comment(project: Project) -> Iterator[str]:
    """One comment on a pull request, which later runs change."""
    yield f"[ -f {SUMMARY} ] || exit 0"
    yield f"marker='<!-- mlops {project.slug} -->'"
    yield f'{{ echo "$marker"; head -c 60000 {SUMMARY}; }} > mlops-comment.md'
    yield 'filter="[.[] | select(.body | startswith(\\"$marker\\"))][0].id // empty"'
    yield 'id=$(gh api "repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments?per_page=100" --jq "$filter")'
    yield 'if [ -n "$id" ]; then'
    yield '  gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" --field body=@mlops-comment.md > /dev/null'
    yield "else"
    yield '  gh pr comment "$NUMBER" --body-file mlops-comment.md'
    yield "fi"
