-- hand_back: return runs that a worker holds and did not execute, uncounted, to where they came from. One that somebody
-- has asked to cancel ends instead.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 wait: '' for the head of the queue, else ms to wait and then the tail  2.. two a run: id, token
-- Writes run, leases, held, queue or delayed, cancels, expiring, aside, ledger, job-ledger; rings the tag.
-- Returns how many went back.
local function hand_back_one(P, t, at, id, token)
    local run = load_run(P, id)
    if not run or ENDED[run.state] or run.token ~= token then
        return false
    end
    release(P, run)
    redis.call('HINCRBY', run_key(P, id), 'attempts', -1)
    wait_again(P, t, run, at)
    return true
end

local function hand_back(keys, args)
    local P, t, count = keys[1], now(), 0
    local at = args[1] ~= '' and t + tonumber(args[1]) or nil
    for i = #args - 1, 2, -2 do -- the last first: each goes to the head, so they keep their order
        if try(P, args[i], hand_back_one, P, t, at, args[i], args[i + 1]) then
            count = count + 1
        end
    end
    return count
end

redis.register_function{function_name = 'taglane_hand_back', callback = booking(hand_back), flags = {'allow-oom'}}
