"""What each action does to a Redis conversation, exactly."""

import pytest

from harness.dependencies.redis.resp import bulks
from harness.toxics.base import Signal
from harness.toxics.exchange.match import RedisMatch

SET = bulks([b"SET", b"orders:1", b"v"])
GET = bulks([b"get", b"prices:1"])
PING = bulks([b"PING"])


def test_nothing_matched_nothing_changed(talk, active):
    """A rule that fits nothing leaves both directions byte for byte, and counts nothing but the connection."""
    rule = active(RedisMatch(action="drop_reply", commands=("DEL",)))
    here = talk(rule).ask(SET, GET + PING).reply(b"+OK\r\n$1\r\nv\r\n+PONG\r\n")
    assert here.server == SET + GET + PING
    assert here.client == b"+OK\r\n$1\r\nv\r\n+PONG\r\n"
    assert rule.effects == {"connections": 1}


def test_drop_reply(talk, active):
    """The server executes; the reply is lost, and so is what is behind it, since it would be taken for that reply."""
    rule = active(RedisMatch(action="drop_reply", commands=("set",)))
    here = talk(rule).ask(GET + SET + PING)
    assert rule.effects["dropped_replies"] == 0
    here.reply(b"$1\r\nv\r\n+O", b"K\r\n+PONG\r\n")
    assert here.server == GET + SET + PING
    assert here.client == b"$1\r\nv\r\n"
    assert rule.effects == {"connections": 1, "matched": 1, "dropped_replies": 1, "dropped": 5 + 7}
    assert here.signals == []


def test_dropped_reply_counts_only_if_it_came(talk, active):
    """A server that ends before it replies leaves `dropped_replies` at nothing."""
    rule = active(RedisMatch(action="drop_reply"))
    here = talk(rule).ask(SET).finish("downstream")
    assert rule.effects["matched"] == 1
    assert rule.effects["dropped_replies"] == 0
    assert here.signals == [("downstream", Signal.END)]


def test_after_a_dropped_reply_only_the_client_ends_the_connection(talk, active):
    """The server's end is lost behind the reply; the client's gets through."""
    rule = active(RedisMatch(action="drop_reply"))
    here = talk(rule).ask(SET).reply(b"+OK\r\n").finish("downstream")
    assert here.signals == []
    assert rule.effects["ends"] == 1
    assert here.finish("upstream").signals == [("upstream", Signal.END)]


def test_drop_request(talk, active):
    """The server hears neither the request nor what is behind it; replies to earlier ones arrive."""
    rule = active(RedisMatch(action="drop_request", commands=("SET",)))
    here = talk(rule).ask(GET + SET, PING).reply(b"$-1\r\n")
    assert here.server == GET
    assert here.client == b"$-1\r\n"
    assert rule.effects["dropped_requests"] == 1
    assert rule.effects["dropped"] == len(SET + PING)


def test_reset_before(talk, active):
    """The request is answered by a reset, and the server never hears of it."""
    rule = active(RedisMatch(action="reset_before", keys="orders:*"))
    here = talk(rule).ask(GET + SET)
    assert here.server == GET
    assert here.signals == [("upstream", Signal.RESET)]
    assert rule.effects["reset"] == 1
    assert here.ask(GET).reply(b"$-1\r\n").heard == {"upstream": GET, "downstream": b""}


def test_reset_after(talk, active):
    """The server gets the request; its reply becomes a reset, and an earlier reply arrives before it."""
    rule = active(RedisMatch(action="reset_after", commands=("SET",)))
    here = talk(rule).ask(GET + SET)
    assert here.server == GET + SET
    assert here.signals == []
    here.reply(b"$1\r\nv\r\n+OK\r\n")
    assert here.client == b"$1\r\nv\r\n"
    assert here.signals == [("downstream", Signal.RESET)]
    assert rule.effects["reset"] == 1


@pytest.mark.parametrize(
    ("after_bytes", "heard"), [(0, b""), (1, b"$"), (4, b"$3\r\n"), (9, b"$3\r\nabc\r\n"), (99, None)]
)
@pytest.mark.parametrize("action", ["reset_mid_reply", "close_mid_reply"])
def test_mid_reply(talk, active, action, after_bytes, heard):
    """Exactly `after_bytes` of the reply (at most all of it) get through before the connection ends."""
    reply = b"$3\r\nabc\r\n"
    rule = active(RedisMatch(action=action, commands=("GET",), after_bytes=after_bytes))
    here = talk(rule).ask(SET + GET + PING).reply(b"+OK\r\n", reply + b"+PONG\r\n")
    assert here.client == b"+OK\r\n" + (reply if heard is None else heard)
    end = Signal.RESET if action == "reset_mid_reply" else Signal.CLOSE
    assert here.signals == [("downstream", end)]
    assert rule.effects["reset" if end is Signal.RESET else "closed"] == 1


def test_mid_reply_counts_across_chunks(talk, active):
    """`after_bytes` is of the reply, not of a chunk."""
    rule = active(RedisMatch(action="reset_mid_reply", after_bytes=12))
    here = talk(rule).ask(GET).reply(b"$20\r\n0123", b"456", b"789", b"0123456789\r\n")
    assert here.client == b"$20\r\n0123456"
    assert here.signals == [("downstream", Signal.RESET)]


@pytest.mark.parametrize(
    "reply",
    [
        b"|1\r\n+ttl\r\n:3600\r\n*2\r\n$1\r\na\r\n|1\r\n+k\r\n+v\r\n:2\r\n",
        b"%2\r\n+a\r\n*-1\r\n+b\r\n~1\r\n$-1\r\n",
        b"*?\r\n:1\r\n%?\r\n+a\r\n$?\r\n;2\r\nhi\r\n;0\r\n.\r\n.\r\n",
        b"*0\r\n",
        b"=7\r\ntxt:abc\r\n",
    ],
)
def test_every_type_is_one_reply(talk, active, reply):
    """Attributes, nested and streamed types, and all forms of null: the reply behind them is found."""
    rule = active(RedisMatch(action="drop_reply", commands=("SET",)))
    here = talk(rule).ask(GET + SET).reply(reply + b"+OK\r\n")
    assert here.client == reply
    assert rule.effects["dropped"] == 5


def test_answer_waits_for_its_turn(talk, active):
    """An answer of ours comes behind the replies to earlier requests and before those to later ones."""
    rule = active(RedisMatch(action="answer", commands=("SET",), text="OOM command not allowed"))
    here = talk(rule).ask(GET + SET + PING)
    assert here.server == GET + PING
    assert here.client == b""
    assert rule.effects["answered"] == 0
    here.reply(b"$1\r\nv", b"\r\n+PONG\r\n")
    assert here.client == b"$1\r\nv\r\n-OOM command not allowed\r\n+PONG\r\n"
    assert rule.effects["answered"] == 1


def test_answer_at_once_when_nothing_is_open(talk, active):
    """What is fed upstream puts an answer out downstream, once the whole request has come."""
    rule = active(RedisMatch(action="answer", text="LOADING Redis is loading\r\nthe dataset"))
    here = talk(rule).ask(SET[:-1])
    assert here.client == b""
    here.ask(SET[-1:] + SET)
    assert here.client == b"-LOADING Redis is loading the dataset\r\n" * 2
    assert here.server == b""


def test_answer_does_not_cut_a_push_in_two(talk, active):
    """An answer waits for the end of a push that is under way."""
    push = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"
    here = talk(active(RedisMatch(action="answer", text="ERR x", commands=("SET",))))
    here.reply(push[:17]).ask(SET)
    assert push.startswith(here.client)
    assert here.reply(push[17:]).client == push + b"-ERR x\r\n"


def test_delay_reply(talk, active):
    """A delayed reply comes later by its delay, and what is behind it not before it; requests are not held up."""
    rule = active(RedisMatch(action="delay_reply", commands=("GET",), delay=40))
    here = talk(rule)
    here.now_ns = 7
    here.ask(SET + GET + PING).reply(b"+OK\r\n$1\r\nv\r\n", b"+PONG\r\n").finish("downstream")
    assert here.server == SET + GET + PING
    assert here.client == b"+OK\r\n"
    assert here.conduit.held("downstream") == 14
    assert here.wake().now_ns == 40_000_007
    assert here.client == b"+OK\r\n$1\r\nv\r\n+PONG\r\n"
    assert here.signals == [("downstream", Signal.END)]
    assert rule.effects["delayed_replies"] == 1
    assert here.conduit.due_ns is None


def test_removal_frees_what_is_delayed_and_spares_what_has_not_come(talk, active):
    """When a toxic is removed, delayed replies go on at once and replies still to come pass."""
    rule = active(RedisMatch(action="delay_reply", delay=1000))
    here = talk(rule).ask(SET + GET).reply(b"+OK\r\n").remove(rule)
    assert here.client == b"+OK\r\n"
    assert here.reply(b"$-1\r\n").client == b"+OK\r\n$-1\r\n"


@pytest.mark.parametrize(
    ("nth", "times", "acted"),
    [(0, 0, "11111"), (0, 2, "11000"), (3, 0, "00100"), (2, 3, "01110"), (5, 1, "00001"), (9, 0, "00000")],
)
def test_nth_and_times_count_over_all_connections(talk, active, nth, times, acted):
    """`nth` and `times` choose matches by their number on the proxy, wherever they come from."""
    rule = active(RedisMatch(action="answer", commands=("SET",), nth=nth, times=times, text="ERR x"))
    outcome = ""
    for _ in range(5):
        here = talk(rule).ask(GET + SET)
        outcome += "0" if here.server == GET + SET else "1"
    assert outcome == acted
    assert rule.effects["matched"] == 5


def test_toxicity_per_message_rolls_for_each_match(talk, active, fixed_dice):
    """Per message, each match is rolled for, and one that is spared does not count; else there is one roll."""
    toxic = RedisMatch(action="answer", commands=("SET",), text="ERR x")
    each = active(toxic, toxicity=0.5, per_message=True)
    here = talk(each, dice=lambda _name: fixed_dice(700_000, 300_000)).ask(GET + SET + SET + SET + SET)
    assert here.server == GET + SET + SET
    assert each.effects["matched"] == 2
    spared = active(toxic, toxicity=0.5)
    here = talk(spared, dice=lambda _name: fixed_dice(700_000, 300_000)).ask(SET + SET)
    assert here.server == SET + SET
    assert spared.effects == {}


def test_the_oldest_rule_that_acts_takes_the_request(talk, active):
    """With two rules for one request the second does not see what the first acts upon."""
    first = active(RedisMatch(action="answer", text="ERR first", times=1), name="first")
    second = active(RedisMatch(action="answer", text="ERR second"), name="second")
    assert talk(first, second).ask(SET + SET).client == b"-ERR first\r\n-ERR second\r\n"
    assert second.effects["matched"] == 1


def test_rule_added_to_a_live_connection(talk, active):
    """A connection followed from its first byte is in step when a rule comes later, in mid-pipeline."""
    rule = active(RedisMatch(action="drop_reply"))
    here = talk().ask(SET + GET)
    here.conduit.add(rule)
    here.ask(PING).reply(b"+OK\r\n$-1\r\n+PONG\r\n")
    assert here.client == b"+OK\r\n$-1\r\n"
    assert rule.effects["dropped_replies"] == 1


def test_connection_that_is_not_followed(talk, active):
    """A rule added to a connection that was not followed counts it and lets it be; it stays as cheap as before."""
    rule = active(RedisMatch(action="drop_reply"))
    here = talk(follow=None)
    here.conduit.add(rule)
    assert here.ask(SET).reply(b"+OK\r\n").client == b"+OK\r\n"
    assert rule.effects == {"unfollowed": 1}
    assert here.conduit.is_bare("upstream")
    here.conduit.change(rule, 0)
    assert here.remove(rule).signals == []


def test_changed_attributes_count_from_then_on(talk, active):
    """New attributes are gone by at once."""
    rule = active(RedisMatch(action="answer", text="ERR x", commands=("GET",)))
    here = talk(rule).ask(SET)
    rule.toxic = RedisMatch(action="answer", text="ERR y", commands=("SET",))
    here.conduit.change(rule, 0)
    assert here.ask(SET + GET).reply(b"+OK\r\n").client == b"+OK\r\n-ERR y\r\n"
    assert here.server == SET + GET


def test_subscription_in_resp2_is_passed_on(talk, active):
    """After RESP2's SUBSCRIBE replies cannot be told apart: all is passed on, and counted once."""
    rule = active(RedisMatch(action="drop_reply", commands=("GET",)))
    confirm = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
    here = talk(rule).ask(SET + bulks([b"SUBSCRIBE", b"c"])).reply(b"+OK\r\n" + confirm)
    here.ask(GET).reply(b"$-1\r\n" * 3)
    assert here.client == b"+OK\r\n" + confirm + b"$-1\r\n" * 3
    assert rule.effects["unfollowed"] == 1
    assert here.conduit.is_bare("upstream")
    assert here.conduit.is_bare("downstream")


def test_subscription_in_resp3_is_followed(talk, active):
    """RESP3 confirms a subscription by pushes, or refuses it by a reply; the next replies still find their requests."""
    rule = active(RedisMatch(action="drop_reply", commands=("GET",)))
    confirm = b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
    message = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n"
    subscribe = bulks([b"SUBSCRIBE", b"c"])
    here = talk(rule).ask(subscribe + SET + subscribe + SET + GET)
    passed = message + confirm + b"+OK\r\n" + message + b"-NOPERM no\r\n" + b"+OK\r\n"
    here.reply(passed, message[:5], message[5:] + b"$-1\r\n")
    assert here.client == passed + message
    assert rule.effects["dropped_replies"] == 1
    assert rule.effects["unfollowed"] == 0


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (bulks([b"MONITOR"]), b'+OK\r\n+1 [0] "get"\r\n'),
        (bulks([b"CLIENT", b"reply", b"OFF"]), b""),
        (bulks([b"PSYNC", b"?", b"-1"]), b"+FULLRESYNC x 0\r\n$10\r\n0123"),
        (b"\x16\x03\x01\x02\x00\x01\x00", b"\x16\x03\x03garbage"),
        (b"*1\r\n+PING\r\n", b"-ERR Protocol error\r\n"),
        (b"*x\r\n", b"-ERR Protocol error\r\n"),
    ],
)
def test_what_cannot_be_followed_is_passed_on(talk, active, request_, reply):
    """It is passed on untouched from there on; requests before it still have their replies."""
    rule = active(RedisMatch(action="answer", commands=("GET",), text="ERR x"))
    here = talk(rule).ask(GET + SET + request_).reply(b"+OK\r\n" + reply).ask(GET).reply(b"$-1\r\n")
    assert here.client == b"-ERR x\r\n+OK\r\n" + reply + b"$-1\r\n"
    assert here.server == SET + request_ + GET
    assert rule.effects["unfollowed"] == 1


@pytest.mark.parametrize("cut", range(1, 40))
def test_request_that_turns_into_garbage(talk, active, cut):
    """A request is judged by its head, wherever it is cut, even if garbage follows where its arguments should be."""
    rule = active(RedisMatch(action="drop_reply", commands=("SET",)))
    data = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n!garbage, and so on"
    here = talk(rule).ask(data[:cut], data[cut:]).reply(b"-ERR Protocol error\r\n")
    assert here.server == data
    assert here.client == b""
    assert rule.effects["matched"] == rule.effects["unfollowed"] == 1


def test_unasked_reply_is_passed_on(talk, active):
    """A server that speaks first (too many clients) is not understood, and not stopped."""
    rule = active(RedisMatch(action="drop_reply"))
    here = talk(rule).ask(SET[:9]).reply(b"-ERR max number of clients reached\r\n")
    assert here.server == SET[:9]
    here.ask(SET[9:])
    assert here.client == b"-ERR max number of clients reached\r\n"
    assert here.server == SET
    assert rule.effects["unfollowed"] == 1


def test_rule_added_after_following_ended(talk, active):
    """A rule that comes when a connection cannot be followed any more counts it as such."""
    here = talk().ask(bulks([b"MONITOR"])).reply(b"+OK\r\n")
    rule = active(RedisMatch(action="drop_reply"))
    here.conduit.add(rule)
    assert rule.effects == {"unfollowed": 1}


def test_unfinished_bytes_reach_the_other_end(talk, active):
    """What was held because it was unfinished is passed on before the end."""
    here = talk(active(RedisMatch(action="drop_reply"))).ask(b"*2\r\n$3\r\nGE").finish("upstream")
    assert here.server == b"*2\r\n$3\r\nGE"
    assert here.signals == [("upstream", Signal.END)]
    here = talk().ask(GET).reply(b"-ERR unfin")
    assert here.finish("downstream").client == b"-ERR unfin"


def test_dropping_everything_blocks_nobody(talk, active):
    """With every reply dropped a flood goes through, and nothing piles up that would stop a sender."""
    rule = active(RedisMatch(action="drop_reply"))
    here = talk(rule)
    for _ in range(300):
        here.ask(GET * 50).reply((b"$1000\r\n" + bytes(1000) + b"\r\n") * 50)
        assert not here.conduit.is_full("upstream")
        assert not here.conduit.is_full("downstream")
    assert rule.effects["dropped_replies"] == 15_000
    assert here.conduit.held("downstream") == 0


def test_open_requests_are_bounded(talk, active):
    """A client that piles up requests to act upon has to wait; ordinary ones cost nothing, and replies make room."""
    rule = active(RedisMatch(action="drop_reply", commands=("GET",)))
    here = talk(rule).ask(SET * 10_000)
    assert not here.conduit.is_full("upstream")
    here.ask(GET * 10_000)
    assert here.conduit.is_full("upstream")
    assert not here.conduit.is_full("downstream")
    here.reply(b"+OK\r\n" * 10_000 + b"$-1\r\n" * 10_000)
    assert not here.conduit.is_full("upstream")


def test_answers_that_wait_are_bounded(talk, active):
    """A client that piles up answers behind an open request has to wait, and goes on once they were given."""
    here = talk(active(RedisMatch(action="answer", commands=("GET",), text="ERR " + "x" * 60_000)))
    for _ in range(2):
        here.ask(SET + GET * 5)
        assert here.conduit.is_full("upstream")
        here.reply(b"+OK\r\n")
        assert not here.conduit.is_full("upstream")


@pytest.mark.parametrize(
    ("request_", "key"),
    [
        ([b"XADD", b"s", b"*", b"f", b"v"], b"s"),
        ([b"xreadgroup", b"GROUP", b"g", b"c", b"COUNT", b"5", b"streams", b"s", b">"], b"s"),
        ([b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"0"], b"s"),
        ([b"EVAL", b"return 1", b"1", b"s", b"x"], b"s"),
        ([b"XINFO", b"STREAM", b"s"], b"s"),
        ([b"BLMPOP", b"0", b"1", b"s", b"LEFT"], b"s"),
        ([b"PUBLISH", b"s", b"x"], None),
        ([b"PING", b"s"], None),
        ([b"XREAD", b"STREAMS"], None),
        ([b"GET"], None),
        ([b"SET", b"k" * 40_000, b"v"], None),
    ],
)
def test_first_key(talk, active, request_, key):
    """The first key is found wherever the command has it; a request without one fits no glob, but fits none given."""
    data = bulks(request_)
    for cut in range(1, len(data), 1 + len(data) // 50):
        here = talk(active(RedisMatch(action="answer", keys="s*", text="ERR x"))).ask(data[:cut], data[cut:])
        assert (here.client, here.server) == ((b"-ERR x\r\n", b"") if key else (b"", data))
    assert talk(active(RedisMatch(action="answer", text="ERR x"))).ask(data).client == b"-ERR x\r\n"


def test_inline_and_empty_requests(talk, active):
    """Inline commands match like others; empty requests get no reply."""
    rule = active(RedisMatch(action="answer", commands=("GET",), keys="a b*", text="ERR x"))
    here = talk(rule).ask(b"\r\n*0\r\n*-1\r\nset orders:1 v\r\nGET ", b'"a"\n').reply(b"+OK\r\n$-1\r\n")
    assert here.client == b"+OK\r\n$-1\r\n"
    rule = active(RedisMatch(action="answer", commands=("GET",), keys="a", text="ERR x"))
    here = talk(rule).ask(b"\r\n*0\r\nset orders:1 v\r\nGET ", b'"a"\n').reply(b"+OK\r\n")
    assert here.client == b"+OK\r\n-ERR x\r\n"


@pytest.mark.parametrize(
    "wrong", [{"action": "explode"}, {"nth": -1}, {"times": -1}, {"after_bytes": -1}, {"delay": -1}]
)
def test_meaningless_attributes_are_refused(wrong):
    """Attributes that mean nothing raise."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RedisMatch(**{"action": "drop_reply", **wrong})
