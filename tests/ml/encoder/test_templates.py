import pytest

from tamis.ml.encoder.templates import LONGEST_TEMPLATE, ChatTemplate, special_tokens, template_in
from tamis.schema import Message

CHAT = (Message("user", "hello"), Message("assistant", "yes"))


def test_a_template_is_given_the_messages_and_the_special_tokens():
    source = "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content | tojson }}\n{% endfor %}"
    assert ChatTemplate(source, {"bos_token": "<s>"})(CHAT) == ('<s>[user] "hello"\n[assistant] "yes"\n', True)


def test_marks_of_what_the_assistant_said_are_passed_over():
    source = "{% for m in messages %}{% generation %}{{ m.content }};{% endgeneration %}{% endfor %}"
    assert ChatTemplate(source)(CHAT) == ("hello;yes;", True)


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('roles must alternate') }}",
        "{{ messages[7].content.x }}",
        "{% for x in range(10 ** 9) %}a{% endfor %}",
        "{% for x in range(99999) %}{% for y in range(9999) %}{{ 'a' * 10000 }}{% endfor %}{% endfor %}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
    ],
)
def test_a_chat_that_the_template_refuses_is_lines(source):
    assert ChatTemplate(source)(CHAT) == ("user: hello\nassistant: yes", False)


@pytest.mark.parametrize("source", ["", "{% for %}", "{% include 'x' %}" * 30_000, " " * (LONGEST_TEMPLATE + 1)])
def test_without_a_template_that_can_be_read_a_chat_is_lines(source):
    template = ChatTemplate(source)
    assert not template.is_usable
    assert template(CHAT) == ("user: hello\nassistant: yes", False)


def test_the_default_template_of_several_is_taken():
    assert (
        template_in({"chat_template": [{"name": "tool", "template": "a"}, {"name": "default", "template": "b"}]}) == "b"
    )
    assert template_in({"chat_template": "a"}, "of the file") == "of the file"
    assert template_in({"chat_template": 7}) == ""


def test_special_tokens_are_told_in_two_forms():
    config = {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False}, "pad_token": None}
    assert special_tokens(config) == {"bos_token": "<s>", "eos_token": "</s>"}
