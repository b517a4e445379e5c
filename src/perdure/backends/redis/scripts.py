"""The scripts. None knows what it writes: the rules have decided (rules/), and a script is one step that can't be divided.

- `COMMIT` first verifies that nothing has changed on which the batch was decided: the store's generation, the revisions of
  rows that it changes, the absence of rows that it adds, the emptiness of queues that it took for empty. If all of that
  holds it carries out a list of commands; if not, it writes nothing and says what has changed first. Lua doesn't roll back: before
  the first write it has looked at every key that it writes, so that one of another type fails the whole batch and not its rest
  (that all commands are permitted is tried when a store is opened, and memory is refused before a script or not at all).
  Arguments go on in pieces, for Lua's stack has an end.
- `READ` carries out a list of reading commands: what they give is of one moment.
- `PROMOTE` moves entries whose time has come from `waiting` to `ready`.
- `RESERVE` hides entries of `ready` for a moment, so that of many who claim each gets others, and `RESTORE` shows again what
  wasn't claimed: they stand in `waiting` meanwhile, from where they come back by themselves if the claimer dies.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Any

from redis.exceptions import NoScriptError

Client = Any
"""A redis.Redis or a redis.cluster.RedisCluster, whose `execute_command` they share; neither has its types complete."""

AT_MOST = 1_000
"""Arguments of one command in a script."""

_COMMIT = """
local generation = redis.call('HGET', KEYS[1], 'generation')
if generation ~= ARGV[1] then
  return 'the generation'
end
local groups, queues, at = tonumber(ARGV[2]), tonumber(ARGV[3]), 4
for _ = 1, groups do
  local key, count = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local fields, expected = at + 2, at + 2 + count
  for first = 0, count - 1, AT_MOST do
    local last = math.min(first + AT_MOST, count) - 1
    local found = redis.call('HMGET', KEYS[key], unpack(ARGV, fields + first, fields + last))
    for place, value in ipairs(found) do
      local wanted = ARGV[expected + first + place - 1]
      if (value and string.sub(value, 1, 8) or '') ~= wanted then
        return KEYS[key]
      end
    end
  end
  at = expected + count
end
for _ = 1, queues do
  local ready, waiting = KEYS[tonumber(ARGV[at])], KEYS[tonumber(ARGV[at + 1])]
  if redis.call('EXISTS', ready) == 1 or redis.call('ZCOUNT', waiting, '-inf', ARGV[at + 2]) > 0 then
    return ready
  end
  at = at + 3
end
local probes = {RPUSH = 'LLEN', HSET = 'HLEN', HDEL = 'HLEN', ZADD = 'ZCARD', ZREM = 'ZCARD', UNLINK = 'EXISTS'}
local first_write = at
while at < #ARGV do
  redis.call(probes[ARGV[at]], KEYS[tonumber(ARGV[at + 1])])
  at = at + 3 + tonumber(ARGV[at + 2])
end
at = first_write
while at < #ARGV do
  local name, key, count = ARGV[at], KEYS[tonumber(ARGV[at + 1])], tonumber(ARGV[at + 2])
  at = at + 3
  if count == 0 then
    redis.call(name, key)
  end
  for first = at, at + count - 1, AT_MOST do
    redis.call(name, key, unpack(ARGV, first, math.min(first + AT_MOST, at + count) - 1))
  end
  at = at + count
end
return 'written'
"""

_READ = """
local found, at = {}, 1
for place, key in ipairs(KEYS) do
  local name, count = ARGV[at], tonumber(ARGV[at + 1])
  at = at + 2
  if count <= AT_MOST then
    found[place] = redis.call(name, key, unpack(ARGV, at, at + count - 1))
  else
    local all = {}
    for first = at, at + count - 1, AT_MOST do
      local last = math.min(first + AT_MOST, at + count) - 1
      for _, value in ipairs(redis.call(name, key, unpack(ARGV, first, last))) do
        all[#all + 1] = value
      end
    end
    found[place] = all
  end
  at = at + count
end
return found
"""

_PROMOTE = """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 500)
if #due > 0 then
  local ready = {}
  for place, member in ipairs(due) do
    ready[2 * place - 1], ready[2 * place] = 0, member
  end
  redis.call('ZADD', KEYS[2], unpack(ready))
  redis.call('ZREM', KEYS[1], unpack(due))
end
return #due
"""


_RESERVE = """
local mine = {}
for place = 2, #ARGV do
  if redis.call('ZREM', KEYS[1], ARGV[place]) == 1 then
    redis.call('ZADD', KEYS[2], ARGV[1], ARGV[place])
    mine[#mine + 1] = ARGV[place]
  end
end
return mine
"""

_RESTORE = """
for _, member in ipairs(ARGV) do
  if redis.call('ZREM', KEYS[2], member) == 1 then
    redis.call('ZADD', KEYS[1], 0, member)
  end
end
"""


class Script:
    """Sent by its digest, and whole to a server that doesn't know it."""

    __slots__ = ("_digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text.replace("AT_MOST", str(AT_MOST))
        self._digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def run(self, client: Client, keys: list[bytes], arguments: list[Any]) -> Any:
        try:
            return client.execute_command("EVALSHA", self._digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return client.execute_command("EVAL", self.text, len(keys), *keys, *arguments)


COMMIT, READ, PROMOTE = Script(_COMMIT), Script(_READ), Script(_PROMOTE)
RESERVE, RESTORE = Script(_RESERVE), Script(_RESTORE)

Command = tuple[Any, ...]
"""A reading command: its name, a key, arguments."""


def read(client: Client, commands: list[Command]) -> list[Any]:
    """What each of them gives, all of one moment."""
    if len(commands) == 1 and len(commands[0]) < AT_MOST:
        return [client.execute_command(*commands[0])]
    arguments: list[Any] = []
    for name, _, *rest in commands:
        arguments += (name, len(rest), *rest)
    found: list[Any] = READ.run(client, [command[1] for command in commands], arguments)
    return found
