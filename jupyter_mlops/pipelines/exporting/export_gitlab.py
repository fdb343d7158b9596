"""A pipeline as a job of GitLab CI. Pure: facts in, text out.

Parameters are variables, which a script reads as variables: nothing that a user types becomes code. A schedule is not part of GitLab's
file: it is made on GitLab's page, and the file says how.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from .export_project import JUNIT, NOTEBOOKS, STATE, SUMMARY, Project, cron_of


def file_name(project: Project) -> str:
    """Where GitLab looks for it, from the root of the repository."""
    return ".gitlab-ci.yml"


def written(project: Project) -> str:
    """The job as YAML."""
    return "\n".join([*_head(project), *_variables(project), *_job(project), *_script(project), *_after(project), ""])


def notes(project: Project) -> tuple[str, ...]:
    """What is left to do on the platform."""
    schedule = cron_of(project.pipeline)
    said = () if schedule is None else (f"On GitLab, under Build > Pipeline schedules, make the schedule {schedule[0]} in {schedule[1]}.",)
    shared = f"To share a store, set variables of the project: {', '.join(project.variables)}; without, the state is cached between runs."
    return (*said, shared, "For comments on merge requests, set MLOPS_GITLAB_TOKEN to a project access token with the scope api.")


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _head(project: Project) -> Iterator[str]:
    yield f"# Written by `mlops export {project.file} --to gitlab`: the steps are in that file, this one only runs them."
    yield "# Edit it as you like: once it is edited, exporting again writes a file beside it."
    if (schedule := cron_of(project.pipeline)) is not None:
        yield "# Its schedule is made on GitLab's page, under Build > Pipeline schedules, since this file cannot hold one:"
        yield f"#   interval pattern {schedule[0]}, cron time zone {schedule[1]}"
    yield ""


def _variables(project: Project) -> Iterator[str]:
    yield "variables:"
    yield '  PIP_CACHE_DIR: "$CI_PROJECT_DIR/.cache/pip"'
    for name, default in project.pipeline.params.items():
        told = json.dumps(default, ensure_ascii=False).replace("$", "$$")
        yield f"  PARAM_{name}:"
        yield '    value: ""'
        yield f"    description: {_text(f'Parameter {name}; empty: {told}, as in {project.file}')}"
    yield ""


def _job(project: Project) -> Iterator[str]:
    yield f"mlops-{project.slug}:"
    yield f"  image: {_text(f'python:{project.python}')}"
    yield "  rules:"
    for source in ("schedule", "web", "api", "merge_request_event"):
        yield f"    - if: $CI_PIPELINE_SOURCE == {_text(source)}"
    if (project.pipeline.schedule or {}).get("overlap") != "allow":
        yield f"  resource_group: {project.slug}"
    yield "  cache:"
    yield f"    - key: mlops-{project.slug}"
    yield "      # Also of a run that failed: what it had done is not done again."
    yield "      when: always"
    yield f"      paths: [{', '.join(STATE)}]"
    yield "    - key: pip"
    yield "      paths: [.cache/pip]"
    yield "  before_script:"
    yield from (f"    - {_text(command)}" for command in project.install)


def _script(project: Project) -> Iterator[str]:
    yield "  script:"
    yield "    - |"
    yield "      set --"
    for name in project.pipeline.params:
        yield f'      [ -z "$PARAM_{name}" ] || set -- "$@" -p "{name}=$PARAM_{name}"'
    yield f'      {project.mlops} run {shlex.quote(project.file)} "$@" --out {NOTEBOOKS} --junit {JUNIT} --summary {SUMMARY}'


def _after(project: Project) -> Iterator[str]:
    yield "  after_script:"
    yield "    - |"
    yield from (f"      {line}" for line in _comment(project))
    yield "  artifacts:"
    yield "    when: always"
    yield f"    name: {_text(project.slug)}"
    yield "    paths:"
    yield from (f"      - {_text(path)}" for path in (NOTEBOOKS, JUNIT, SUMMARY))
    yield "    reports:"
    yield f"      junit: {JUNIT}"


def _comment(project: Project) -> Iterator[str]:
    """One comment on a merge request, which later runs change."""
    yield f'if [ -z "$MLOPS_GITLAB_TOKEN" ] || [ -z "$CI_MERGE_REQUEST_IID" ] || [ ! -f {SUMMARY} ]; then exit 0; fi'
    yield f"marker='<!-- mlops {project.slug} -->'"
    yield f'{{ echo "$marker"; cat {SUMMARY}; }} > mlops-comment.md'
    yield 'notes="$CI_API_V4_URL/projects/$CI_PROJECT_ID/merge_requests/$CI_MERGE_REQUEST_IID/notes"'
    yield 'find=\'import json, sys; print(next((str(n["id"]) for n in json.load(sys.stdin) if n["body"].startswith(sys.argv[1])), ""))\''
    yield 'call() { curl --silent --show-error --fail --header "PRIVATE-TOKEN: $MLOPS_GITLAB_TOKEN" "$@"; }'
    yield 'id=$(call "$notes?per_page=100" | python -c "$find" "$marker")'
    yield 'if [ -n "$id" ]; then'
    yield '  call --request PUT --data-urlencode "body@mlops-comment.md" "$notes/$id" > /dev/null'
    yield "else"
    yield '  call --request POST --data-urlencode "body@mlops-comment.md" "$notes" > /dev/null'
    yield "fi"
