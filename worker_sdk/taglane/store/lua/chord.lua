-- chord: register, before a chord's parts are sent, the run that joins them. chord_size: say how many parts there are,
-- when they are counted. part: note the outcome of a part that no worker executes.
--
-- The join's id is derived from the group's, so it is made once, whoever brings the last part, and how often. A part is
-- known by its place and its id: a nested group's members share a place, and a part that ran twice has one id.
--
-- KEYS  1 the tenant's prefix
-- ARGV  chord: 1 group  2 the join's id  3 task  4 tag  5 step  6 envelope
--       chord_size: 1 group  2 how many parts, or '+n' for n more; part: 1 group  2 'place:id'  3 outcome, JSON
-- Writes chord; the last part also run, runs, queue, ledger, and rings the tag. Returns 1.
local function chord(keys, args)
    local key = chord_key(keys[1], args[1])
    redis.call('HSET', key, 'id', args[2], 'task', args[3], 'tag', args[4], 'step', args[5], 'envelope', args[6])
    redis.call('PEXPIRE', key, 7 * KEEP_MS)
    return 1
end

local function chord_size(keys, args)
    local P, key = keys[1], chord_key(keys[1], args[1])
    if redis.call('HGET', key, 'id') then
        if string.sub(args[2], 1, 1) == '+' then
            redis.call('HINCRBY', key, 'parts', '-' .. string.sub(args[2], 2)) -- the size may not be known yet
        else
            redis.call('HSET', key, 'size', args[2])
        end
        start_join(P, now(), args[1])
    end
    return 1
end

local function part(keys, args)
    add_part(keys[1], now(), args[1], args[2], args[3])
    return 1
end

redis.register_function('taglane_chord', chord)
-- A full server refuses new chords; one that is under way goes on, or it would wait for ever.
redis.register_function{function_name = 'taglane_chord_size', callback = booking(chord_size), flags = {'allow-oom'}}
redis.register_function{function_name = 'taglane_part', callback = booking(part), flags = {'allow-oom'}}
