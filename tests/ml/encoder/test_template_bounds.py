"""Templates that never end, or take all memory, are stopped; those of real models say what they always said."""

import json

import pytest

from tamis.ml.encoder.template_meter import MOST_STEPS, Meter
from tamis.ml.encoder.templates import ChatTemplate
from tamis.schema import Message

CHAT = (Message("user", "hello"), Message("assistant", "<think>well</think> yes"))
LINES = "user: hello\nassistant: <think>well</think> yes"
NESTED = "{% set n = namespace(x=1) %}{% for a in range(60) %}{% set n.x = MADE %}{% endfor %}"
DOUBLED = "{% set ns = namespace(x='aa') %}{% for i in range(60) %}DOUBLE{% endfor %}{{ ns.x | length }}"


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{% set _ = f(n - 1) %}{% set _ = f(n - 1) %}{% endif %}{% endmacro %}{{ f(60) }}",
        "{% for x in messages recursive %}{% if loop.depth < 60 %}{{ loop([1, 2]) }}{% endif %}{% endfor %}",
        "{% for a in range(99999) %}{% set _ = range(99999) | list %}{% endfor %}",
        "{% set s = 'a' * 8000000 %}{% for a in range(99999) %}{% if s == s[1:] %}{% endif %}{% endfor %}",
        *(
            "{% set l = range(99999) %}{% set r = l | list %}{% for a in r %}" + each + "{% endfor %}"
            for each in (
                *(
                    "{{ 0.5 in l }}",
                    "{% if 0.5 is in l %}{% endif %}",
                    "{% if l is eq r %}{% endif %}",
                    "{{ l | max }}",
                ),
                *("{{ l | reject | first }}", "{% set _ = l.count(0.5) %}", "{% set _ = l.index(99998) %}"),
                *("{% set _ = cycler(*l) %}", "{{ l | string | length }}", "{{ l ~ '' }}", "{{ l | sort | first }}"),
            )
        ),
        "{% macro f() %}{% endmacro %}{% set l = range(99999) %}{% for a in l %}{{ f(*l) }}{% endfor %}",
        NESTED.replace("MADE", "namespace(a=n.x, b=n.x)") + "{{ n.x }}",
        NESTED.replace("MADE", "namespace(a=n.x, b=n.x)") + "{{ n.x | string | length }}",
        NESTED.replace("MADE", "cycler(n.x, n.x).items") + "{{ n.x | string | length }}",
        NESTED.replace("MADE", "cycler(n.x, n.x).items") + "{{ {n.x: 1} | length }}",
        NESTED.replace("MADE", "cycler(n.x, n.x).items") + "{{ messages[0].get(n.x) }}",
        NESTED.replace("MADE", "cycler(n.x, n.x).items") + "{{ messages[0][n.x] }}",
        "{{ ('a' * 50000000).rfind('b' + 'a' * 25000000) }}",
        "{{ ('a' * 50000000).lstrip('b' * 1000000 + 'a') | length }}",
        "{{ 1 | round(99999999, 'ceil') }}",
    ],
)
def test_what_would_not_end(source: str) -> None:
    assert ChatTemplate(source)(CHAT) == (LINES, False)


@pytest.mark.parametrize(
    "source",
    [
        DOUBLED.replace("DOUBLE", "{% set ns.x = ns.x + ns.x %}"),
        DOUBLED.replace("DOUBLE", "{% set ns.x = ns.x ~ ns.x %}"),
        DOUBLED.replace("DOUBLE", "{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}"),
        DOUBLED.replace("DOUBLE", "{% set ns.x = [ns.x, ns.x] %}"),
        DOUBLED.replace("DOUBLE", "{% set ns.x = (ns.x, ns.x) %}"),
        DOUBLED.replace("DOUBLE", "{% set ns.x = {'a': ns.x, 'b': ns.x} %}"),
        "{{ 'a' * 99999999999 }}",
        "{{ [1] * 99999999999 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ 'a'.ljust(99999999999) }}",
        "{{ 'a' | center(99999999999) }}",
        "{{ '%99999999999d' % 1 }}",
        "{{ '%99999999999d' | format(1) }}",
        "{{ '{:>99999999999}'.format(1) }}",
        "{{ messages | tojson(indent=99999999999) }}",
        "{% set s = 'a' * 1000000 %}{{ s.replace('a', s) }}",
        "{% set s = 'a' * 1000000 %}{{ s | replace('', s) }}",
        "{% set s = 'a' * 1000000 %}{{ s.join(range(99999) | map('string')) }}",
        "{% set s = 'a' * 1000000 %}{{ range(99999) | join(s) }}",
        "{{ messages | random }}",
        "{{ 'a'.encode().ljust(99999999999) | length }}",
        "{{ (5).to_bytes(99999999999) | length }}",
        "{{ (' a' * 30000000).split() | length }}",
        "{{ ('\n' * 60000000).splitlines() | length }}",
        "{{ ('a' * 100000000) | list | length }}",
        "{{ cycler(*('a' * 100000000)) }}",
        "{{ [1] * 100000000 }}",
        "{{ namespace }}",
        "{{ namespace() }}",
        "{{ cycler('a') ~ '' }}",
        "{{ [cycler('a')] | string }}",
        "{{ ('<' * 60000000) | safe | length }}{{ ('<' * 60000000 | safe).striptags() }}",
        "{{ lipsum(n=1000) }}",
    ],
)
def test_what_would_take_all_memory_or_differ_each_time(source: str) -> None:
    assert ChatTemplate(source)(CHAT) == (LINES, False)


@pytest.mark.parametrize(
    "source",
    [
        "{% for m in messages %}{{ '<s>' + m['role'] + '\n' + m['content'] + '</s>' }}{% endfor %}",
        "{% for m in messages[::-1] %}{{ loop.length }}{{ loop.last }}{{ m.content | trim }}{% endfor %}",
        "{% for m in messages if m.role == 'user' %}{{ m.content.replace('l', 'L') }}{% else %}none{% endfor %}",
        "{% for k, v in messages[0].items() %}{{ k ~ v }}{% endfor %}{% set (a, b) = (1, 2) %}{{ a % 2 == b - 1 }}",
        "{% macro say(m) %}{{ m.role | upper }}{% endmacro %}{% for m in messages %}{{ say(m) }}{% endfor %}",
        "{% set c = messages[1].content %}{% if '</think>' in c %}{{ c.split('</think>')[-1].lstrip() }}{% endif %}",
        "{{ messages | map(attribute='role') | join(', ') }}{{ messages | selectattr('role', 'eq', 'user') | list }}",
        "{% set x %}{{ bos_token }}{{ messages | length }}{% endset %}{{ x }}{{ messages | tojson(indent=2) }}",
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 2 %}{% endfor %}{{ ns.n * 2 }}",
        "{% for m in messages %}{% if m.role is in ['user', 'system'] and m is mapping %}{{ m.get('role') }}{% endif %}"
        "{{ loop.cycle('a', 'b') }}{{ loop.changed(m.role) }}{% endfor %}{{ range(2) | list }}{{ 2.5 | round(1) }}",
        "{% set c = cycler('a', 'b') %}{% set j = joiner() %}{% for m in messages %}{{ c.next() ~ j() }}{% endfor %}",
        "{% macro two(a, b) %}{{ a }}{{ caller(b) }}{{ varargs }}{% endmacro %}"
        "{% call(x) two(*['p', 'q', 'r']) %}{{ x }}{% endcall %}{{ dict(a=1).values() | list }}{{ missing }}",
        "{% block one %}{{ messages[-1]['content'].rsplit('</think>', 1)[-1].strip() }}{% endblock %}{{ self.one() }}",
        "{% filter upper %}{{ messages[0].content.split() | join('-') }}{% endfilter %}{{ [none, true, 1.5, ''] }}",
        "{% set x = messages | selectattr('role', 'in', ['user']) | map(attribute='content') %}{{ x | first | d('') }}",
    ],
)
def test_others_say_what_they_say_elsewhere(source: str) -> None:
    jinja2 = pytest.importorskip("jinja2.sandbox")
    plain = jinja2.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    plain.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
    messages = [{"role": message.role, "content": message.content} for message in CHAT]
    told = plain.from_string(source).render(messages=messages, bos_token="<s>")
    assert ChatTemplate(source, {"bos_token": "<s>"})(CHAT) == (told, True)


def test_a_long_chat_is_far_from_the_end_of_its_means() -> None:
    template = ChatTemplate("{% for m in messages %}{{ '[' + m.role + '] ' + m.content | trim + '\n' }}{% endfor %}")
    assert template([Message("user", "word " * 800)] * 1024)[1]
    assert template._meter.left > MOST_STEPS // 2


def test_every_chat_has_the_same_means() -> None:
    template = ChatTemplate("{% for a in range(99999) %}{% endfor %}{{ messages[0].content }}")
    assert [template(CHAT) for _ in range(30)] == [("hello", True)] * 30
    assert Meter().left == 0
