-- chord, chord_size: register, before a chord's parts are sent, the run that joins them. part: note the outcome of a part that no
-- worker executes.
--
-- The join's id is derived from the group's, so it is made once, whoever brings the last part, and how often.
--
-- KEYS  1 the tenant's prefix
-- ARGV  chord: 1 group  2 how many parts  3 the join's id  4 task  5 tag  6 step  7 envelope
--       chord_size: 1 group  2 how many parts there are, once they are counted; part: 1 group  2 index  3 outcome, JSON
-- Writes chord; the last part also run, runs, queue, and rings the tag. Returns 1.
local function chord(keys, args)
    local P, t = keys[1], now()
    local key = chord_key(P, args[1])
    redis.call('HSET', key, 'size', args[2], 'id', args[3], 'task', args[4], 'tag', args[5], 'step', args[6],
        'envelope', args[7])
    redis.call('PEXPIRE', key, 7 * KEEP_MS)
    start_join(P, t, args[1])
    return 1
end

local function chord_size(keys, args)
    local P, t = keys[1], now()
    if redis.call('HEXISTS', chord_key(P, args[1]), 'id') == 1 then
        redis.call('HSET', chord_key(P, args[1]), 'size', args[2])
        start_join(P, t, args[1])
    end
    return 1
end

local function part(keys, args)
    add_part(keys[1], now(), args[1], args[2], args[3])
    return 1
end

redis.register_function('taglane_chord', chord)
redis.register_function('taglane_chord_size', chord_size)
redis.register_function('taglane_part', part)
