"""The scripts. None knows what it writes: the rules have decided (rules/), and a script is one step that can't be divided.

- `COMMIT` first verifies that nothing has changed on which the batch was decided: the store's generation, the revisions of
  rows that it changes, the absence of rows that it adds, the emptiness of queues that it took for empty. If all of that
  holds it carries out a list of commands; if not, it writes nothing and says what has changed first. Lua doesn't roll back: before
  the first write it has looked at every key that it writes, so that one of another type fails the whole batch and not its rest
  (that all commands are permitted is tried when a store is opened, and memory is refused before a script or not at all).
  Should a write fail all the same after others, what is left is written down, and the generation says so: nobody else's batch
  goes through before somebody has carried out the rest by `FINISH`, which may itself be broken off and repeated.
  Arguments go on in pieces, for Lua's stack has an end.
- `READ` carries out a list of reading commands: what they give is of one moment.
- `PROMOTE` moves entries whose time has come from `waiting` to `ready`.
- `RESERVE` hides entries of `ready` for a moment, so that of many who claim each gets others, and `RESTORE` shows again what
  wasn't claimed: they stand in `waiting` meanwhile, from where they come back by themselves if the claimer dies.
- `TAKE_PERMITS` and `RETURN_PERMITS` are of a limited queue, at its home (permits.py).

All but `COMMIT` write so that each write leaves what may be: an entry stands in both places before it leaves one, and what is
counted is too much before it is right.
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
local has_written = false
local done, problem = pcall(function()
  while at < #ARGV do
    local name, key, count = ARGV[at], KEYS[tonumber(ARGV[at + 1])], tonumber(ARGV[at + 2])
    if count == 0 then
      redis.call(name, key)
      has_written = true
    end
    for first = at + 3, at + 2 + count, AT_MOST do
      redis.call(name, key, unpack(ARGV, first, math.min(first + AT_MOST, at + 3 + count) - 1))
      has_written = true
    end
    at = at + 3 + count
  end
end)
if done then
  return 'written'
end
if not has_written then
  error(problem)
end
redis.call('UNLINK', KEYS[2])
while at < #ARGV do
  local name, key, count = ARGV[at], KEYS[tonumber(ARGV[at + 1])], tonumber(ARGV[at + 2])
  redis.call('RPUSH', KEYS[2], name, key, count, name == 'RPUSH' and redis.call('LLEN', key) or 0)
  for first = at + 3, at + 2 + count, AT_MOST do
    redis.call('RPUSH', KEYS[2], unpack(ARGV, first, math.min(first + AT_MOST, at + 3 + count) - 1))
  end
  at = at + 3 + count
end
redis.call('HSET', KEYS[1], 'unfinished', generation + 1)
redis.call('HSET', KEYS[1], 'generation', 'unfinished')
return 'unfinished'
"""

_FINISH = """
local left, at = redis.call('LRANGE', KEYS[2], 0, -1), 1
local generation = redis.call('HGET', KEYS[1], 'unfinished')
if not generation then
  return 0
end
while at < #left do
  local name, key, count, length = left[at], left[at + 1], tonumber(left[at + 2]), tonumber(left[at + 3])
  local first = at + 4
  if name == 'RPUSH' then
    first = first + redis.call('LLEN', key) - length
  end
  if count == 0 then
    redis.call(name, key)
  end
  for some = first, at + 3 + count, AT_MOST do
    redis.call(name, key, unpack(left, some, math.min(some + AT_MOST, at + 4 + count) - 1))
  end
  at = at + 4 + count
end
redis.call('UNLINK', KEYS[2])
redis.call('HSET', KEYS[1], 'generation', generation)
redis.call('HDEL', KEYS[1], 'unfinished')
return 1
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
  if redis.call('ZSCORE', KEYS[1], ARGV[place]) then
    redis.call('ZADD', KEYS[2], ARGV[1], ARGV[place])
    redis.call('ZREM', KEYS[1], ARGV[place])
    mine[#mine + 1] = ARGV[place]
  end
end
return mine
"""

_RESTORE = """
for _, member in ipairs(ARGV) do
  if redis.call('ZSCORE', KEYS[2], member) then
    redis.call('ZADD', KEYS[1], 0, member)
    redis.call('ZREM', KEYS[2], member)
  end
end
"""

# The arithmetic is that of admission.py, which has admitted what is taken: here it is seen whether that still holds.
_TAKE_PERMITS = """
local queue, at_once, rate, now = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local first = 6 + tonumber(ARGV[5])
local count = #ARGV - first + 1
if at_once then
  local running = redis.call('ZCARD', KEYS[1])
  for place = 6, first - 1 do
    if redis.call('ZSCORE', KEYS[1], ARGV[place]) then
      running = running - 1
    end
  end
  if running + count > at_once then
    return 'gone'
  end
end
if rate then
  local level, at = math.max(1, rate), now
  local stored = redis.call('HGET', KEYS[2], queue)
  if stored then
    local bucket = cmsgpack.unpack(stored)
    level = math.min(level, bucket[1] + rate * math.max(0, now - bucket[2]) / 1000000)
    at = math.max(now, bucket[2])
  end
  if level + 1e-9 < count then
    return 'gone'
  end
  redis.call('HSET', KEYS[2], queue, cmsgpack.pack({level - count, at}))
end
for place = first, #ARGV do
  redis.call('ZADD', KEYS[1], ARGV[4], ARGV[place])
end
return 'taken'
"""

_RETURN_PERMITS = """
local removed = 0
for place = 3, #ARGV do
  removed = removed + redis.call('ZREM', KEYS[1], ARGV[place])
end
local stored = ARGV[2] == '1' and redis.call('HGET', KEYS[2], ARGV[1])
if stored then
  local bucket = cmsgpack.unpack(stored)
  redis.call('HSET', KEYS[2], ARGV[1], cmsgpack.pack({bucket[1] + removed, bucket[2]}))
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


COMMIT, FINISH, READ, PROMOTE = Script(_COMMIT), Script(_FINISH), Script(_READ), Script(_PROMOTE)
RESERVE, RESTORE = Script(_RESERVE), Script(_RESTORE)
TAKE_PERMITS, RETURN_PERMITS = Script(_TAKE_PERMITS), Script(_RETURN_PERMITS)

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
