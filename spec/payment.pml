/*
 * The protocol by which Bursar collects one obligation: two portals, sweepers, an operator, Pay.gov and the network.
 * README.md says what is modelled, what is not, and which mutants the tests plant. Each LAW is checked wherever it stands.
 *
 *   Worker 0, 1   portals: init, process, and the resolution of unknown outcomes
 *   Worker 2, 3   one sweeper, or two
 *   World         time, the network, Pay.gov's settlement, the operator, and the restore of a backup
 *
 * One atomic sequence is one transaction of the store, or one exchange with Pay.gov. A worker may die between any two.
 */

#ifndef ATTEMPTS
#define ATTEMPTS 2
#endif
#ifndef SWEEPERS
#define SWEEPERS 1
#endif
#define WORKERS (2 + SWEEPERS)
#define FIRST_SWEEPER 2
#define IDLE ATTEMPTS
#define LAST_STEPS_MAX (4 * ATTEMPTS)
#define A_DEAD_HOLDER (WORKERS + 1)

#include "edges.pml"

/* The mutants. The environment variable MUTANT plants one, by its number, so that one compilation serves all. */
#define MUTANT_LOST_IS_A_NO             1  /* a lost reply is taken for a no */
#define MUTANT_UNUSABLE_IS_A_NO         2  /* fault 4117 on the first complete is taken for a no */
#define MUTANT_SECOND_REFUSAL_IS_A_NO   3  /* the refusal of the second complete is taken for a no */
#define MUTANT_BLIND_SECOND_COMPLETE    4  /* a complete is repeated after a lost reply without asking */
#define MUTANT_REPEAT_FORGOTTEN         5  /* the second complete is not remembered */
#define MUTANT_LEASE_IGNORED            6  /* the lease of another is ignored */
#define MUTANT_TWO_LIVE_ATTEMPTS        7  /* the rule of one live attempt is dropped */
#define MUTANT_UNKNOWN_GIVES_WAY        8  /* an unknown outcome gives way to another attempt */
#define MUTANT_WRITES_COMPARE_NOTHING   9  /* a write does not compare what was read */
#define MUTANT_NO_GRACE                10  /* the lookup's 'none' is believed without a grace period */
#define MUTANT_ACCEPTED_IS_PAID        11  /* an accepted collection counts as paid */
#define MUTANT_LATE_ANSWER_IS_RECORDED 12  /* an old answer overwrites a newer one */
#define MUTANT_SWEEPER_FORGETS_UNKNOWN 13  /* the sweeper ignores unknown outcomes */
#define MUTANT_RETURN_IGNORED          14  /* a return after settlement is ignored */
#define MUTANT_RETURN_REOPENS          15  /* a return after settlement fails the attempt */
#define MUTANT_RESTORE_WITHOUT_ASKING  16  /* a restored store does not ask Pay.gov */
#define MUTANT_RESTORE_WITHOUT_GRACE   17  /* a restored store believes 'none' at once */
#define MUTANT_TIME_FAILS_UNASKED      18  /* time fails an attempt without asking Pay.gov */
#define MUTANT_REFUSAL_AFTER_DOUBT     19  /* a refusal does not use up the second complete, whatever was before */
#define FIRST_MUTANT_OF_RESTORES MUTANT_RESTORE_WITHOUT_ASKING
#define PLANTED(mutant) (planted == mutant)
byte planted;

/* A token's age, by our clock. EXPIRED: Pay.gov's clock may differ, so it may still accept a complete. DEAD: the grace
 * period is over, so nothing is on its way, and Pay.gov's lookup shows every collection. */
#define FRESH 0
#define EXPIRED 1
#define DEAD 2

/* A collection at Pay.gov. BOUNCED and RETURNED: the payer has the money back. */
#define NO_COLLECTION 0
#define SETTLING 1
#define SETTLED 2
#define BOUNCED 3
#define RETURNED 4

/* What Pay.gov said: the state of a collection (above), or one of these. */
#define NOT_SENT 5  /* the complete was definitely not sent */
#define LOST 6      /* no answer */
#define UNUSABLE 7  /* fault 4117 */
#define REFUSED 8   /* a fault that is a definite no */
#define NOTHING 9   /* the lookup shows no collection */
#define NEVER 10    /* the lookup shows no collection, and the token is dead */

#define NO_TOKEN 0
#define OPEN 1
#define USED 2

#define NO_BACKUP 0
#define TAKEN 1
#define RESTORED 2

/* The store. `lease` is the worker's number + 1. `repeated`: the second complete is used. `refused`: every complete was
 * answered with fault 4117, and a lookup can decide the outcome. `reversed`: the return is recorded. `in_doubt`: a
 * restored store, until Pay.gov has been asked about every id that may have been used. */
byte status[ATTEMPTS];
byte lease[ATTEMPTS];
bit unknown[ATTEMPTS];
bit repeated[ATTEMPTS];
bit refused[ATTEMPTS];
bit reversed[ATTEMPTS];
bit in_doubt;

/* The clock. `settled_down`: what was on its way at the restore has arrived, and lookups show it. */
byte age[ATTEMPTS];
bit lapsed[ATTEMPTS];
bit settled_down;

/* Pay.gov and the network. `late`: a complete is on its way, and no worker waits for its answer. */
byte token[ATTEMPTS];
byte collection[ATTEMPTS];
bit visible[ATTEMPTS];
bit late[ATTEMPTS];
bit can_look_up;

/* The backup: at most one is taken, and it is restored at most once. */
byte backup;
byte kept_status[ATTEMPTS];
bit kept_unknown[ATTEMPTS];
bit kept_repeated[ATTEMPTS];
bit kept_refused[ATTEMPTS];
bit kept_reversed[ATTEMPTS];

/* The workers' memory: the attempt that each has read, and whether another wrote it since. A write compares both. */
byte reads[WORKERS];
bit moved[WORKERS];
byte said[WORKERS];

/* For the laws only: completes of the attempt's token, under way and in all, but for those before any doubt that fault
 * 4117 answered. */
bit under_way[ATTEMPTS];
byte sent[ATTEMPTS];
bit closing;
byte last_steps;

byte edge_source, edge_event, edge_target, edge_actor, edge_allowed;

#if ATTEMPTS == 2
#define ANY(P) (P(0) || P(1))
#define EACH(P) P(0); P(1)
#define PICK(variable, P) if :: P(0) -> variable = 0 :: P(1) -> variable = 1 fi
#elif ATTEMPTS == 3
#define ANY(P) (P(0) || P(1) || P(2))
#define EACH(P) P(0); P(1); P(2)
#define PICK(variable, P) if :: P(0) -> variable = 0 :: P(1) -> variable = 1 :: P(2) -> variable = 2 fi
#endif

/* A law that does not hold is printed and ends the search. */
#define LAW(name, condition) if :: condition :: else -> c_code { printf("law: " name "\n"); }; assert(false) fi

#define IS_SWEEPER (me >= FIRST_SWEEPER)
#define ACTOR (IS_SWEEPER -> SWEEPER : PORTAL)
#define LIVE(x) (status[x] != NONE && status[x] != PROCESSED && status[x] != FAILED)
#define BLOCKS(x) (status[x] != NONE && status[x] != FAILED)
#define LEASED(x) (lease[x] != 0 && !lapsed[x])
#define RETURNED_UNSENT(x) (status[x] == PROCESSING && lease[x] == 0 && !unknown[x])
#define UNRESOLVED(x) (status[x] == PROCESSING && !LEASED(x) && !RETURNED_UNSENT(x))
#define SHOWN(x) (collection[x] != NO_COLLECTION && visible[x])
#define PAYS(x) \
	(collection[x] == SETTLING || collection[x] == SETTLED || (collection[x] == RETURNED && status[x] == PROCESSED))
#define ON_ITS_WAY(x) (late[x] || (collection[x] != NO_COLLECTION && !visible[x]))
#define my reads[me]
#define answer said[me]
#define KNOWN (answer >= SETTLING && answer <= RETURNED)
/* A restored store believes "none" only once it has settled down. */
#define BELIEVES (!in_doubt || settled_down || PLANTED(MUTANT_RESTORE_WITHOUT_GRACE))
#define SURELY_OVER(x) (age[x] == DEAD || (age[x] == EXPIRED && PLANTED(MUTANT_NO_GRACE)))

inline charge(x, how)
{
	LAW("an obligation is charged at most once", !ANY(PAYS) && collection[x] == NO_COLLECTION);
	LAW("a failed attempt is never charged", status[x] != FAILED);
	collection[x] = how;
	visible[x] = !can_look_up  /* no lookup, so it does not matter */
}

/* Values that can no longer matter are made equal, which makes fewer states. A complete for a used token has no effect. */
inline tidy(x)
{
	if
	:: token[x] == USED -> late[x] = 0
	:: else
	fi;
	if
	:: status[x] == FAILED && !late[x] && (backup != TAKEN || kept_status[x] == FAILED) ->
		token[x] = NO_TOKEN; age[x] = FRESH; visible[x] = 0; collection[x] = NO_COLLECTION
	/* A restore brings the attempt back. Its time may pass again at once, so it is enough to know it as fresh. */
	:: status[x] == FAILED && backup == TAKEN && kept_status[x] != FAILED -> age[x] = FRESH
	:: (status[x] == PROCESSED || status[x] == PENDING) && backup != TAKEN ->
		token[x] = NO_TOKEN; age[x] = FRESH; visible[x] = 1; late[x] = 0
	:: else
	fi
}

/* A worker that has read an attempt which another has written since can record only facts: a collection. */
inline moved_by(worker, x, by)
{
	if
	:: by != worker && reads[worker] == x && !PLANTED(MUTANT_WRITES_COMPARE_NOTHING) ->
		moved[worker] = 1;
		said[worker] = (said[worker] > RETURNED -> LOST : said[worker])
	:: else
	fi
}

/* One event of the attempt, by one actor: the only way in which a status changes. */
inline step(x, event, target, actor, by)
{
	d_step {
		edge_source = status[x]; edge_event = event; edge_target = target; edge_actor = actor;
		c_code { now.edge_allowed = is_edge(now.edge_source, now.edge_event, now.edge_target, now.edge_actor); };
		LAW("every step is an edge of payments/status.py", edge_allowed);
		edge_source = 0; edge_event = 0; edge_target = 0; edge_actor = 0; edge_allowed = 0;
		status[x] = target;
		LAW("a charged attempt is never failed", status[x] != FAILED || !PAYS(x));
		LAW("a processed attempt is paid", status[x] != PROCESSED || collection[x] == SETTLED || collection[x] == RETURNED);
		LAW("a pending attempt has a collection", status[x] != PENDING || collection[x] != NO_COLLECTION);
		if
		:: LIVE(x) && status[x] != PENDING
		:: else -> lease[x] = 0; lapsed[x] = 0; unknown[x] = 0; repeated[x] = 0; refused[x] = 0; sent[x] = 0
		fi;
		tidy(x);
		moved_by(0, x, by); moved_by(1, x, by); moved_by(2, x, by)
#if SWEEPERS > 1
		; moved_by(3, x, by)
#endif
	}
}

inline doubt(x)
{
	lease[x] = 0; lapsed[x] = 0; unknown[x] = 1
}

/* Pay.gov receives a complete. A token works once. A payer who has not paid yet gives fault 4117. */
inline deliver(x, reply)
{
	if
	:: token[x] != OPEN || age[x] == DEAD -> reply = UNUSABLE
	:: token[x] == OPEN && age[x] != DEAD ->
		if
		:: true -> charge(x, SETTLED); reply = SETTLED; token[x] = USED
		:: true -> charge(x, SETTLING); reply = SETTLING; token[x] = USED
		:: reply = REFUSED; token[x] = USED
		:: reply = UNUSABLE
		fi
	fi;
	tidy(x)
}

/* Pay.gov is asked for a collection by the attempt's id. */
inline look_up(x)
{
	answer = (can_look_up && SHOWN(x) -> collection[x] : (can_look_up && !BELIEVES -> LOST :
		(can_look_up && SURELY_OVER(x) -> NEVER : NOTHING)))
}

/* The reversal is recorded once, by an edge of its own where the table has one. */
inline reverse(x, actor, by)
{
#ifdef E_returned
	if
	:: !reversed[x] -> step(x, E_returned, PROCESSED, actor, by)
	:: else
	fi;
#endif
	reversed[x] = 1
}

/* A collection is a fact, whichever worker holds the lease: it is recorded on the attempt as it is now. */
inline record(x)
{
	if
	:: status[x] == PROCESSING ->
		if
		:: answer == SETTLING && !PLANTED(MUTANT_ACCEPTED_IS_PAID) -> step(x, E_accepted, PENDING, ACTOR, me)
		:: answer == SETTLED || (answer == SETTLING && PLANTED(MUTANT_ACCEPTED_IS_PAID)) ->
			step(x, E_completed, PROCESSED, ACTOR, me)
		:: answer == BOUNCED || answer == RETURNED -> step(x, E_refused, FAILED, ACTOR, me)
		fi
	:: status[x] == PENDING ->
		if
		:: answer == SETTLED -> step(x, E_settled, PROCESSED, ACTOR, me)
		:: answer == SETTLING -> step(x, E_noted, PENDING, ACTOR, me)
		:: answer == BOUNCED || answer == RETURNED -> step(x, E_bounced, FAILED, ACTOR, me)
		fi
	:: status[x] == PROCESSED && answer == SETTLING && PLANTED(MUTANT_LATE_ANSWER_IS_RECORDED) ->
		step(x, E_accepted, PENDING, ACTOR, me)
	/* A portal keeps such an answer as a contradiction; the sweeper's next question records the return. */
	:: status[x] == PROCESSED && answer == RETURNED && IS_SWEEPER && !PLANTED(MUTANT_RETURN_REOPENS) ->
		reverse(x, SWEEPER, me)
	:: status[x] == PROCESSED && answer == RETURNED && PLANTED(MUTANT_RETURN_REOPENS) ->
		step(x, E_bounced, FAILED, ACTOR, me)
	:: else
	fi
}

/* At the end only the sweeper works, and Pay.gov answers. The portals are alike, and so are the sweepers: the second
 * one begins only while the first one works. */
#define IS_PORTAL (!closing && (me == 0 || (me == 1 && reads[0] != IDLE)))
#define SWEEPS (me == FIRST_SWEEPER || (!closing && me == FIRST_SWEEPER + 1 && reads[FIRST_SWEEPER] != IDLE))
#define AT_WORK (IS_PORTAL || SWEEPS)
#define MAY_CLAIM(x) (age[x] == FRESH && (status[x] == INITIATED || RETURNED_UNSENT(x)))
#define TIME_IS_OVER(x) \
	(status[x] == RECEIVED || ((age[x] != FRESH || in_doubt) && (status[x] == INITIATED || RETURNED_UNSENT(x))))
#define TO_RESOLVE(x) (UNRESOLVED(x) && !PLANTED(MUTANT_SWEEPER_FORGETS_UNKNOWN))
/* Fault 4117 answered this complete and every one before. A lookup can decide the outcome. */
#define MAY_COME_BACK(x) \
	(can_look_up && (!unknown[x] || refused[x] || PLANTED(MUTANT_REFUSAL_AFTER_DOUBT)))
#define MAY_REPEAT(x) (age[x] == FRESH && !repeated[x] && !in_doubt)
/* Only questions that can change something are asked: fewer states. */
#define MUST_ASK(x) \
	(status[x] == PENDING || (TO_RESOLVE(x) && (lease[x] != 0 || MAY_REPEAT(x) || (can_look_up && (BELIEVES || SHOWN(x))))))
#define WATCHED(x) (status[x] == PROCESSED && collection[x] == RETURNED && !reversed[x])
#define WATCHED_NOW(x) (WATCHED(x) && !PLANTED(MUTANT_RETURN_IGNORED))
/* The sweeper has work with it at the end, when all lookups are answered. */
#define WORK(x) \
	(TIME_IS_OVER(x) || status[x] == PENDING || (TO_RESOLVE(x) && (can_look_up || lease[x] != 0)) || WATCHED_NOW(x))
#define SHOWN_AND_LOST(x) (SHOWN(x) && status[x] == NONE)
#define SHOWN_AND_UNRECORDED(x) (SHOWN(x) && (status[x] == NONE || (LIVE(x) && status[x] != PENDING)))
#define FORGOTTEN(x) ((LIVE(x) && (can_look_up || !UNRESOLVED(x))) || WATCHED(x))
/* The next attempt: every one before it has failed. The rule of one live attempt is part of the transaction. */
#define NEXT(x) (status[x] == NONE && (x == 0 || status[(x) - (x != 0)] != NONE))
#define FREE (!in_doubt && (!ANY(BLOCKS) || PLANTED(MUTANT_TWO_LIVE_ATTEMPTS)))

/* A worker that comes back after its death, or that serves another request, has a new name as the holder of a lease. */
inline forget()
{
	if
	:: my != IDLE && lease[my] == me + 1 -> lease[my] = A_DEAD_HOLDER
	:: else
	fi;
	my = IDLE; moved[me] = 0; answer = 0;
	last_steps = last_steps + closing;
	LAW("the sweeper ends its work in a bounded number of steps", last_steps <= LAST_STEPS_MAX)
}

proctype Worker(byte me)
{
idle:
end_idle:
	if
	/* init: the attempt is recorded, and then Pay.gov is asked for a token. */
	:: atomic { IS_PORTAL && FREE && ANY(NEXT) -> PICK(my, NEXT);
		step(my, E_started, RECEIVED, PORTAL, me); goto fetch }
	/* process: the lease is taken before the complete is sent. */
	:: atomic { IS_PORTAL && !in_doubt && ANY(MAY_CLAIM) -> PICK(my, MAY_CLAIM);
		if
		:: status[my] == INITIATED -> step(my, E_claimed, PROCESSING, PORTAL, me)
		:: else -> step(my, E_reclaimed, PROCESSING, PORTAL, me)
		fi;
		lease[my] = me + 1; goto send }
	/* An attempt without a recorded complete whose time is over, or in a restored store: Pay.gov is asked first. */
	:: atomic { AT_WORK && ANY(TIME_IS_OVER) -> PICK(my, TIME_IS_OVER);
		if
		:: PLANTED(MUTANT_TIME_FAILS_UNASKED) -> answer = NOTHING
		:: else -> look_up(my)
		fi;
		if
		:: KNOWN ->
			step(my, E_outcome_unknown, PROCESSING, ACTOR, me); doubt(my);
			if
			:: record(my)
			:: !closing  /* the worker dies */
			fi;
			forget(); goto idle
		:: (answer == NOTHING || answer == NEVER) && (status[my] == RECEIVED || age[my] != FRESH) ->
			answer = 0; goto end_uncompleted
		:: else -> forget(); goto idle
		fi }
	/* An unknown outcome, or an attempt that is settling. A lease that ran out is recorded as unknown. */
	:: atomic { AT_WORK && ANY(MUST_ASK) -> PICK(my, MUST_ASK);
		if
		:: status[my] == PROCESSING && lease[my] != 0 ->
			repeated[my] = repeated[my] || (unknown[my] && !PLANTED(MUTANT_REPEAT_FORGOTTEN)); refused[my] = 0;
			step(my, E_outcome_unknown, PROCESSING, ACTOR, me); doubt(my)
		:: status[my] == PROCESSING && lease[my] == 0 -> look_up(my)
		:: status[my] != PROCESSING -> answer = collection[my]  /* by Pay.gov's id, which is always shown */
		fi;
		if
		:: answer == SETTLING -> moved[me] = 1; goto record_late
		:: KNOWN -> record(my)
		:: answer == NEVER -> step(my, E_never_charged, FAILED, ACTOR, me)
		:: answer == NOTHING && MAY_REPEAT(my) ->
			step(my, E_lease_taken_over, PROCESSING, ACTOR, me); lease[my] = me + 1; answer = 0; goto send
		:: else
		fi;
		forget(); goto idle }
	/* A settled debit is watched. */
	:: atomic { SWEEPS && ANY(WATCHED_NOW) -> PICK(my, WATCHED_NOW);
		answer = RETURNED; record(my); forget(); goto idle }
	/* A restored store: every possible id is asked for. A collection of a lost attempt is entered. */
	:: atomic { IS_PORTAL && in_doubt && !ANY(BLOCKS) && ANY(SHOWN_AND_LOST) -> PICK(my, SHOWN_AND_LOST);
		step(my, E_started, RECEIVED, PORTAL, me);
		step(my, E_outcome_unknown, PROCESSING, PORTAL, me); doubt(my);
		answer = collection[my]; record(my); forget(); goto idle }
	:: atomic { in_doubt && BELIEVES && !ANY(SHOWN_AND_UNRECORDED) -> in_doubt = 0; settled_down = 0; goto idle }
	:: atomic { IS_PORTAL && PLANTED(MUTANT_UNKNOWN_GIVES_WAY) && ANY(UNRESOLVED) -> PICK(my, UNRESOLVED);
		step(my, E_never_charged, FAILED, ACTOR, me); forget(); goto idle }
	:: atomic { IS_PORTAL && PLANTED(MUTANT_LEASE_IGNORED) && ANY(LEASED) -> PICK(my, LEASED); goto send_now }
	/* At the end every attempt is final, or it is listed for a person: its outcome is unknown and Pay.gov cannot be
	 * asked. Every return is recorded. */
	:: atomic { closing && me == FIRST_SWEEPER && !ANY(WORK) ->
		LAW("every attempt is resolved or listed, and every return is recorded", !ANY(FORGOTTEN)); goto stop }
	fi;

fetch:
	atomic {
		if
		:: moved[me]  /* given up meanwhile: the token is never used */
		:: !moved[me] -> step(my, E_token_given, INITIATED, PORTAL, me); token[my] = OPEN; age[my] = FRESH
		:: !moved[me] -> step(my, E_start_failed, FAILED, PORTAL, me)
		:: skip  /* the worker dies */
		fi;
		forget(); goto idle
	}

send:
	atomic {
		if
		:: lease[my] != me + 1 || lapsed[my] -> answer = NOT_SENT; goto judge  /* no time is left for an answer */
		:: else ->
			if
			:: answer = NOT_SENT; goto judge
			:: forget(); goto idle
			:: skip
			fi
		fi;
send_now:
		LAW("two completes are never under way at once", !under_way[my]);
		LAW("a complete is repeated at most once after one that fault 4117 did not answer", sent[my] < 2);
		under_way[my] = 1; sent[my]++
	}
	atomic {
		under_way[my] = 0;
		if
		:: deliver(my, answer);
			if
			:: skip
			:: answer = LOST
			:: deliver(my, answer)  /* delivered twice: the second answer arrives */
			:: !late[my] && token[my] == OPEN -> late[my] = 1  /* delivered twice, once late */
			:: forget(); goto idle  /* the worker dies */
			fi
		:: answer = LOST
		:: !late[my] && token[my] == OPEN -> late[my] = 1; answer = LOST
		:: forget(); goto idle
		:: !late[my] && token[my] == OPEN -> late[my] = 1; forget(); goto idle
		fi;
		/* Fault 4117 proves nothing: Pay.gov is asked before it is judged. While an attempt has a lease and an unknown
		 * outcome, its second complete is sent: no refusal of that decides anything. */
		if
		:: answer == UNUSABLE && PLANTED(MUTANT_UNUSABLE_IS_A_NO) && !unknown[my] -> answer = REFUSED
		:: answer == UNUSABLE && can_look_up && collection[my] != NO_COLLECTION -> answer = collection[my]
		/* As every complete before: either none has charged, or Pay.gov refuses a used token. */
		:: answer == UNUSABLE && MAY_COME_BACK(my) -> sent[my] = (sent[my] == 1 -> 0 : sent[my])
		:: (answer == UNUSABLE && !MAY_COME_BACK(my)) || (answer == REFUSED && unknown[my]) ->
			answer = (PLANTED(MUTANT_SECOND_REFUSAL_IS_A_NO) && unknown[my] -> REFUSED : LOST)
		:: answer == LOST && PLANTED(MUTANT_BLIND_SECOND_COMPLETE) -> answer = 0; goto send
		:: answer == LOST && PLANTED(MUTANT_LOST_IS_A_NO) -> answer = REFUSED
		:: else
		fi
	}

judge:
	atomic {
		if
		:: KNOWN -> record(my)
		:: !KNOWN && !moved[me] && lease[my] == me + 1 ->
			if
			:: answer == REFUSED -> step(my, E_refused, FAILED, ACTOR, me)
			:: answer == NOT_SENT && !unknown[my] ->
				step(my, E_released, PROCESSING, ACTOR, me); lease[my] = 0; lapsed[my] = 0
			:: answer == UNUSABLE ->
				refused[my] = 1; step(my, E_outcome_unknown, PROCESSING, ACTOR, me); doubt(my)
			:: answer == LOST || (answer == NOT_SENT && unknown[my]) ->
				refused[my] = refused[my] && answer == NOT_SENT;
				repeated[my] = repeated[my] || (unknown[my] && answer == LOST && !PLANTED(MUTANT_REPEAT_FORGOTTEN));
				step(my, E_outcome_unknown, PROCESSING, ACTOR, me); doubt(my)
			fi
		:: skip  /* another has the lease; or the worker dies, or the store cannot be reached */
		fi;
		forget(); goto idle
	}

end_uncompleted:
	atomic {
		if
		:: moved[me]
		:: !moved[me] && status[my] == RECEIVED -> step(my, E_start_abandoned, FAILED, ACTOR, me)
		:: !moved[me] && status[my] == INITIATED -> step(my, E_expired, FAILED, ACTOR, me)
		:: !moved[me] && status[my] == PROCESSING -> step(my, E_expired_unsent, FAILED, ACTOR, me)
		:: !closing  /* the worker dies */
		fi;
		forget(); goto idle
	}

record_late:
	/* The answer "settling" may be old when it is recorded. Other answers stay true, so no time passes before they are. */
	atomic { record(my); forget(); goto idle }
stop:
	skip
}

#define ALL_IDLE (reads[0] == IDLE && reads[1] == IDLE && reads[2] == IDLE && reads[WORKERS - 1] == IDLE)
#define EXPIRES(x) (age[x] == FRESH && (status[x] == INITIATED || status[x] == PROCESSING))
#define DIES(x) (age[x] == EXPIRED && !under_way[x] && !LEASED(x) && !ON_ITS_WAY(x))
#define LAPSES(x) (LEASED(x) && !under_way[x])
#define APPEARS(x) (collection[x] != NO_COLLECTION && !visible[x])
#define SETTLES(x) (collection[x] == SETTLING)
#define RETURNS(x) (collection[x] == SETTLED && status[x] == PROCESSED)
#define IS_RECEIVED(x) (status[x] == RECEIVED)
#define IS_LATE(x) (late[x])
/* An operator reads Pay.gov's reports, and settles what `bursar attention` lists. */
#define LISTED(x) (!in_doubt && (UNRESOLVED(x) || status[x] == PENDING))
#define FOUND_PAID(x) (LISTED(x) && collection[x] == SETTLED)
#define FOUND_UNPAID(x) (LISTED(x) && (collection[x] == BOUNCED || (collection[x] == NO_COLLECTION && age[x] == DEAD)))
/* Time has not passed yet for this attempt: its token lives, a worker has the lease, or it is settling. */
#define STILL_OPEN(x) \
	(LEASED(x) || collection[x] == SETTLING || ((status[x] == INITIATED || status[x] == PROCESSING) && age[x] != DEAD))
/* A lease ends at the restore, because its holder is dead: what it did is unknown. */
#define KEEP(x) \
	kept_status[x] = status[x]; kept_reversed[x] = reversed[x]; \
	kept_repeated[x] = repeated[x] || (lease[x] != 0 && unknown[x]); kept_unknown[x] = unknown[x] || lease[x] != 0; \
	kept_refused[x] = refused[x] && lease[x] == 0
#define RESTORE(x) \
	status[x] = kept_status[x]; reversed[x] = kept_reversed[x]; repeated[x] = kept_repeated[x]; \
	unknown[x] = kept_unknown[x]; refused[x] = kept_refused[x]; lease[x] = 0; lapsed[x] = 0; sent[x] = 0; \
	kept_status[x] = 0; kept_reversed[x] = 0; kept_repeated[x] = 0; kept_unknown[x] = 0; kept_refused[x] = 0

proctype World()
{
	byte x;
	byte reply;

end_world:
	do
	:: atomic { !closing && ANY(EXPIRES) -> PICK(x, EXPIRES); age[x] = EXPIRED; x = 0 }
	:: atomic { !closing && ANY(DIES) -> PICK(x, DIES);
		age[x] = DEAD; repeated[x] = 0; refused[x] = 0; sent[x] = 0; token[x] = USED; x = 0 }
	:: atomic { !closing && ANY(LAPSES) -> PICK(x, LAPSES); lapsed[x] = 1; x = 0 }
	:: atomic { !closing && ANY(APPEARS) -> PICK(x, APPEARS); visible[x] = 1; x = 0 }
	:: atomic { !closing && ANY(SETTLES) -> PICK(x, SETTLES);
		if :: collection[x] = SETTLED :: collection[x] = BOUNCED fi; x = 0 }
	:: atomic { !closing && ANY(RETURNS) -> PICK(x, RETURNS); collection[x] = RETURNED; x = 0 }
	:: atomic { !closing && ANY(IS_LATE) -> PICK(x, IS_LATE);
		late[x] = 0;
		if
		:: deliver(x, reply)
		:: tidy(x)  /* it never arrives */
		fi;
		reply = 0; x = 0 }
	:: atomic { !closing && ANY(FOUND_PAID) -> PICK(x, FOUND_PAID);
		step(x, E_resolved_processed, PROCESSED, OPERATOR, WORKERS); x = 0 }
	:: atomic { !closing && ANY(FOUND_UNPAID) -> PICK(x, FOUND_UNPAID);
		step(x, E_resolved_failed, FAILED, OPERATOR, WORKERS); x = 0 }
	:: atomic { !closing && ANY(WATCHED_NOW) -> PICK(x, WATCHED_NOW); reverse(x, OPERATOR, WORKERS); x = 0 }
	:: d_step { !closing && backup == NO_BACKUP && can_look_up && (ALL_IDLE || ANY(IS_RECEIVED)) && ANY(LIVE) ->
		backup = TAKEN; EACH(KEEP) }
	:: d_step { !closing && backup == TAKEN && ALL_IDLE -> backup = RESTORED; EACH(RESTORE);
		in_doubt = !PLANTED(MUTANT_RESTORE_WITHOUT_ASKING); EACH(tidy) }
	:: d_step { !closing && in_doubt && !settled_down && !ANY(ON_ITS_WAY) -> settled_down = 1 }
	/* At the end all faults stop, and time passes. */
	:: d_step { !closing && ALL_IDLE && !ANY(ON_ITS_WAY) && !ANY(STILL_OPEN) && (!in_doubt || settled_down) ->
		closing = 1 }
	od
}

init
{
	atomic {
		reads[0] = IDLE; reads[1] = IDLE; reads[2] = IDLE; reads[WORKERS - 1] = IDLE;
		if
		:: can_look_up = 1
		:: can_look_up = 0
		fi;
		c_code { const char *number = getenv("MUTANT"); now.planted = number ? atoi(number) : 0; };
		if
#ifndef NO_RESTORE
		:: PLANTED(0) || planted >= FIRST_MUTANT_OF_RESTORES
#endif
		:: else -> backup = RESTORED  /* without a restore, also for a mutant that needs none */
		fi;
		run Worker(0); run Worker(1); run Worker(2);
#if SWEEPERS > 1
		run Worker(3);
#endif
		run World()
	}
}
