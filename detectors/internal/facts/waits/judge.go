package waits

import (
	"math"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/odds"
	"github.com/tracedoc/tracedoc/traceload"
)

// The judgement adds up the weights of what speaks for and against, in log odds
// (see package odds). Nobody is stuck without evidence: the sum starts at prior.
const (
	prior = -1.5

	// What is waited for. For ever is for ever; a sender has something to hand
	// over, and a waiter for a lock or a WaitGroup depends on code that should
	// run anyway; receivers and selects are how goroutines rest.
	weightForEver   = 6.0
	weightSend      = 1.0
	weightLock      = 1.5
	weightWaitGroup = 0.5
	weightCond      = 0.0
	weightReceive   = -0.5

	// How they came here.
	weightGathers   = 2.0  // new ones through most of the trace, and none left
	weightSome      = 1.0  // new ones, but not through most of it
	weightLevelsOff = -1.5 // new ones only early: a warm-up
	weightLately    = -2.5 // all came shortly before the end
	weightTogether  = -1.5 // all at one time: a pool
	weightOlder     = -1.0 // most were born before the trace began: nothing is seen of their story
	weightFoundLock = 1.0  // … but nobody rests on a lock, or on a send, for a second
	weightMany      = 0.5  // ten and more
	weightTwo       = -0.5
	weightOne       = -1.5

	// The history of the place.
	weightOutlier      = 1.5  // others were woken here, and soon
	weightNobodyWoken  = 0.5  // nobody has ever been woken here
	weightWokenBefore  = -3.5 // these very goroutines were woken here before: a loop
	weightSentBefore   = -2.0 // … of sends: somebody used to take what they had
	weightWokenLeft    = -1.5 // … but new ones keep coming, and stay
	weightOutlive      = 0.75 // … and others that were started with them did as much, and ended
	weightOrphan       = -1.0 // … each by one goroutine, which has ended since, or is stuck
	weightOrphanLeft   = 0.5  // … and new ones keep coming, or they have something to send
	weightCornered     = 3.5  // whoever has signalled here waits for a signal, too
	weightServersGone  = 2.5  // the few goroutines that received from all senders here have ended
	weightOthersWaited = -2.0 // others waited about as long and were woken
	weightTimer        = -2.0 // a timer or a deadline has ended such waits
	weightTimerOnly    = -4.0 // … most of them: it is what is waited for
	weightNotDue       = -8.0 // … and these have waited no longer than that took
	weightTimerSource  = -4.0 // the source shows a timer beside whatever else is waited for
	weightQueueMoves   = -3.0 // those that parked before the trace are still being served: first in, first out
	weightLockMoves    = -5.0 // … and it is this lock that they wait for
	weightHolder       = -4.0 // whoever has the lock is at work
	weightHolderType   = -2.5 // … perhaps

	// The family.
	weightCreatorEnded  = 1.0  // the goroutine that started them has ended
	weightOnline        = -2.0 // they serve connections that are open
	weightChildrenGone  = 2.5  // a parent waits, and all that it started have ended
	weightChildrenAlive = -5.0
	weightMain          = -4.0 // main waits for the end of the program

	weightTestOver    = 5.0 // the test that started them is over: what they did before is no excuse
	weightRequestOver = 1.5 // the request on whose behalf they were started has been answered

	// A sync.Once started it, and it is the only one: whoever came first did that
	// for the whole program, and it outlives a test as it would outlive a request.
	weightOnce = -5.0

	// What the source says of the channel.
	weightNobodyLeft = 5.0  // all that can happen to it is known, and nobody is left who could end the wait
	weightMostLeft   = 2.5  // … for most of them
	weightSomebody   = -0.5 // somebody is
	weightSignal     = -4.0 // signals come in over it

	// Whose code it is.
	weightStd     = -0.5 // the wait is inside the standard library
	weightNetwork = -2.5 // … for somebody over the network
	weightStdOnly = -4.0 // … and so is the whole goroutine
	weightTesting = -6.0 // package testing waits for tests

	// What is known of such goroutines anywhere, see known.txt: they are meant to
	// wait, or exist only until something is closed or cancelled.
	weightAtRest    = -6.0
	weightForgotten = 1.5
	weightInUse     = -3.0 // whoever will close it may still be at it
	weightUnused    = 1.0  // nobody is
)

// scene is what the judgement knows of a group: plain figures.
type scene struct {
	wait   traceload.Wait
	length time.Duration // of the trace
	window time.Duration // from its start until when who came can be stuck

	stuck    int
	found    int             // of stuck: parked before the trace began
	arrivals []time.Duration // of those stuck that were born in the trace: when they came, sorted
	last     time.Duration   // when the last of all that are parked here came, stuck or not
	oldest   time.Duration   // the longest of their waits
	median   time.Duration

	// Of all waits at the place.
	ended          int
	longest, usual time.Duration // usual: 99 of 100 did not take longer
	timers         int           // ended by a timer or a deadline
	wokenBefore    int           // of stuck: woken here before
	orphans        int           // … always by one and the same goroutine, which has ended since, or is stuck itself
	cornered       bool          // all who have ever signalled here wait for a Cond themselves
	serversGone    bool          // the few goroutines that woke all that were woken here have ended
	outlive        int           // of stuck: much older than others of their kind that have ended, see births.Outlives
	siblingsEnded  int
	siblingsUsual  time.Duration // the life of 99 of 100 of those
	ahead          int           // goroutines parked before the trace that were woken as those here would be
	aheadSure      bool          // … by the function that waits here
	holder         string        // where a goroutine works that may hold the lock, "" if none
	holderSure     bool

	once         bool   // a sync.Once started the only one that was ever started there
	test         string // the test that is over and started some of them; "" if several are
	testsOver    int    // how many were started by tests that are over
	requestsOver int    // … by handlers of requests that are
	reach        reach

	main          bool // main is among them
	creatorsEnded int
	inUse         int // their creators are still in the function that made them
	online        int
	childrenGone  int
	childrenAlive int

	code      code
	atRest    string // why they are known to be at rest, "" for most
	forgotten string // why the goroutines' very existence is suspicious, "" for most
	unused    bool   // … and nobody is at work with what they wait for
}

// code says whose code waits.
type code uint8

const (
	codeUser    code = iota
	codeStd          // the standard library, called by the user's code
	codeNetwork      // … one of its packages for the network
	codeStdOnly      // a goroutine of the standard library
	codeTesting      // package testing
	codeUnknown
)

// judge weighs what is known; the confidence follows from it and prior.
func (sc *scene) judge() odds.Sum {
	var sum odds.Sum
	sc.judgeKind(&sum)
	if 2*sc.testsOver > sc.stuck {
		sc.judgeTest(&sum)
	} else {
		gathers := sc.judgeArrival(&sum)
		sc.judgeHistory(&sum, gathers)
	}
	sc.judgeReach(&sum)
	sc.judgeQueue(&sum)
	sc.judgeFamily(&sum)
	sc.judgeCode(&sum)
	return sum
}

func (sc *scene) judgeKind(sum *odds.Sum) {
	switch sc.wait {
	case traceload.WaitNilChan:
		sum.Note(weightForEver, "the channel is nil: no send or receive on it can ever go on")
	case traceload.WaitEmptySelect:
		sum.Note(weightForEver, "an empty select can never go on")
	case traceload.WaitChanSend:
		sum.Note(weightSend, "they have a value to hand over and nobody takes it")
	case traceload.WaitMutex, traceload.WaitRWMutexW, traceload.WaitRWMutexR:
		sum.Note(weightLock, "they wait for a lock, which nobody should hold for long")
	case traceload.WaitWaitGroup:
		sum.Note(weightWaitGroup, "they wait for a WaitGroup, which somebody should bring to zero")
	case traceload.WaitCond:
		sum.Note(weightCond, "they wait for a signal; so do idle workers")
	default:
		sum.Note(weightReceive, "they wait to be told something; so do idle workers")
	}
}

// judgeTest takes the end of the test that started them for what it is.
func (sc *scene) judgeTest(sum *odds.Sum) {
	if sc.test != "" {
		sum.Note(weightTestOver, "%s, which started %d of them, is over", sc.test, sc.testsOver)
	} else {
		sum.Note(weightTestOver, "the tests that started %d of them are over", sc.testsOver)
	}
	if sc.stuck >= 10 {
		sum.Note(weightMany, "there are %d of them", sc.stuck)
	}
	sc.judgeTimers(sum)
}

// judgeReach asks the source who could still end the waits.
func (sc *scene) judgeReach(sum *odds.Sum) {
	r := &sc.reach
	switch {
	case r.notified:
		sum.Note(weightSignal, "the channel is for signals of the operating system")
	case r.gone == sc.stuck || r.gone > 5 && 10*r.gone >= 9*sc.stuck:
		sum.Note(weightNobodyLeft, "by the source, nobody is left who could end the wait: all that know the channel are past it or have ended")
	case 2*r.gone > sc.stuck:
		sum.Note(weightMostLeft, "by the source, nobody is left who could end the waits of %d of them", r.gone)
	case r.able != "" && r.open == "":
		sum.Note(weightSomebody, "by the source, a goroutine at %s could still end the waits of some", r.able)
	}
}

// judgeArrival asks how the stuck ones came here: all along (a leak, which it
// returns), early (a warm-up), at once (a pool), or before the trace began.
func (sc *scene) judgeArrival(sum *odds.Sum) (gathers bool) {
	n := len(sc.arrivals)
	lock := sc.wait.IsLock()
	switch {
	case n == 0 && sc.found == sc.stuck:
		sum.Note(weightOlder, "all were parked here before the trace began and have not moved for its %s", detectors.Duration(sc.length))
		if (lock || sc.wait == traceload.WaitChanSend) && sc.length >= time.Second {
			sum.Note(weightFoundLock, "nobody rests on a lock or a send that long")
		}
	case n < 3 && 2*n < sc.stuck:
		sum.Note(weightOlder, "most of them are older than the trace, which does not show what they did before")
	case n < 3:
		// Too few to see a shape; their number speaks below.
	case 4*sc.oldest < sc.length:
		sum.Note(weightLately, "all came in the last %s", detectors.Duration(sc.oldest))
	case sc.arrivals[n-1]-sc.arrivals[0] < sc.length/20 && !lock:
		sum.Note(weightTogether, "they came together within %s, as a pool does", detectors.Duration(sc.arrivals[n-1]-sc.arrivals[0]))
	case sc.levelledOff() && restful(sc.wait):
		sum.Note(weightLevelsOff, "no new ones came after %s: it may be a warm-up", detectors.Duration(sc.last))
	case sc.allAlong() && !lock: // before a lock they gather as long as it is held, be it for good or not
		sum.Note(weightGathers, "they gathered all through the trace, %d of them, and none has left", n)
		gathers = 2*n > sc.stuck
	default:
		sum.Note(weightSome, "%d came during the trace, and none has left", n)
	}
	switch {
	case sc.stuck >= 10:
		sum.Note(weightMany, "there are %d of them", sc.stuck)
	case sc.stuck == 2:
		sum.Note(weightTwo, "there are only two of them")
	case sc.stuck == 1:
		sum.Note(weightOne, "there is only one of them")
	}
	return gathers
}

// levelledOff tells whether new ones stopped coming: for so long a part of the
// trace that it is no accident, given how many came before.
func (sc *scene) levelledOff() bool {
	const silence, accident = 0.15, 0.01
	silent := 1 - float64(sc.last)/float64(sc.length)
	return silent >= silence && math.Pow(1-silent, float64(len(sc.arrivals))) < accident
}

// allAlong tells whether they came in at least three quarters of the time, the
// last one among them.
func (sc *scene) allAlong() bool {
	var quarters [4]int
	for _, a := range sc.arrivals {
		quarters[min(3, int(4*a/sc.window))] = 1
	}
	return quarters[0]+quarters[1]+quarters[2]+quarters[3] >= 3 && quarters[3] == 1
}

// enoughHistory is how many waits must have ended at a place to speak of what is usual there.
const enoughHistory = 5

func (sc *scene) judgeHistory(sum *odds.Sum, gathers bool) {
	send := sc.wait == traceload.WaitChanSend
	back := 2*sc.wokenBefore > sc.stuck && restful(sc.wait)
	switch {
	case sc.cornered:
		sum.Note(weightCornered, "all who have ever signalled here wait for a signal themselves")
	case send && sc.serversGone:
		sum.Note(weightServersGone, "the goroutines that received from all who sent here have ended")
	case back && 2*sc.orphans > sc.stuck:
		weight := weightOrphan
		if gathers || send {
			weight = weightOrphanLeft
		}
		sum.Note(weight, "%d of them were woken here before, each by one and the same goroutine, which has ended or is stuck itself", sc.orphans)
	case back && gathers && 2*sc.outlive > sc.stuck:
		sum.Note(weightOutlive, "%d others that were started at the same line have ended, 99 of 100 of them within %s; %d came as far as here in that time, and no further", sc.siblingsEnded, detectors.Duration(sc.siblingsUsual), sc.outlive)
	case back && gathers:
		sum.Note(weightWokenLeft, "%d of them were woken here before", sc.wokenBefore)
	case back && send:
		sum.Note(weightSentBefore, "somebody used to receive what %d of them send", sc.wokenBefore)
	case back:
		sum.Note(weightWokenBefore, "%d of them were woken here before: they come back to rest", sc.wokenBefore)
	case sc.ended > 0 && 2*sc.longest > sc.median:
		sum.Note(weightOthersWaited, "others waited here for up to %s and were woken", detectors.Duration(sc.longest))
	case sc.ended >= enoughHistory:
		sum.Note(weightOutlier, "%d others that waited here were woken, 99 of 100 of them within %s", sc.ended, detectors.Duration(sc.usual))
	case sc.ended == 0 && sc.stuck > 1:
		sum.Note(weightNobodyWoken, "nobody has been woken here during the trace")
	}
	sc.judgeTimers(sum)
}

// dueAfter is how much longer than others that a timer has ended, in times, a wait may take before
// it is plain that no timer will end it.
const dueAfter = 1.25

func (sc *scene) judgeTimers(sum *odds.Sum) {
	if sc.wait == traceload.WaitSelect || sc.wait == traceload.WaitChanReceive {
		switch {
		case 2*sc.timers > sc.ended && float64(sc.oldest) <= dueAfter*float64(sc.longest):
			sum.Note(weightNotDue, "a timer has ended %d of %d such waits, the longest after %s: these have waited no longer", sc.timers, sc.ended, detectors.Duration(sc.longest))
		case 2*sc.timers > sc.ended:
			sum.Note(weightTimerOnly, "a timer has ended %d of %d such waits", sc.timers, sc.ended)
		case sc.timers > 0:
			sum.Note(weightTimer, "a timer has ended %d such waits, and may end these", sc.timers)
		}
	}
}

func (sc *scene) judgeQueue(sum *odds.Sum) {
	switch {
	case sc.aheadSure && sc.wait.IsLock():
		sum.Note(weightLockMoves, "the lock goes round: %d goroutines that were parked before the trace began got it, and these are next in the queue", sc.ahead)
	case sc.ahead >= 3 && 20*sc.ahead >= sc.stuck:
		sum.Note(weightQueueMoves, "%d goroutines that were parked before the trace began were woken in such a way: perhaps these are next in the queue", sc.ahead)
	}
	switch {
	case sc.holder == "":
	case sc.holderSure:
		sum.Note(weightHolder, "a goroutine is at work in the function that takes the lock, at %s", sc.holder)
	default:
		sum.Note(weightHolderType, "a goroutine is at work in a method of the same type, at %s, perhaps with the lock", sc.holder)
	}
}

func (sc *scene) judgeFamily(sum *odds.Sum) {
	n, lock := sc.stuck, sc.wait.IsLock()
	if sc.once && restful(sc.wait) && sc.wait != traceload.WaitChanSend {
		sum.Note(weightOnce, "a sync.Once started it and no other: it may serve the whole program")
	}
	if sc.main && n == 1 && !lock {
		sum.Note(weightMain, "main waits here, perhaps for the end of the program")
	}
	told := sc.wait == traceload.WaitChanReceive || sc.wait == traceload.WaitSelect || sc.wait == traceload.WaitCond
	if sc.forgotten != "" && 2*sc.inUse > n {
		sum.Note(weightInUse, "the functions that made %d of them are still at work", sc.inUse)
	} else if told && 2*sc.online > n {
		sum.Note(weightOnline, "%d of them serve connections that are open", sc.online)
	} else if 2*sc.requestsOver > n {
		sum.Note(weightRequestOver, "the requests for which %d of them were started have been answered", sc.requestsOver)
	} else if 2*sc.creatorsEnded > n {
		sum.Note(weightCreatorEnded, "the goroutines that started %d of them have ended", sc.creatorsEnded)
	}
	if sc.wait == traceload.WaitChanSend || lock {
		return
	}
	switch {
	case 2*sc.childrenAlive > n:
		sum.Note(weightChildrenAlive, "goroutines that they started are still alive and may wake them")
	case 2*sc.childrenGone > n && sc.wait == traceload.WaitWaitGroup:
		sum.Note(weightChildrenGone, "the goroutines that they started have all ended, so nobody is left to call Done")
	}
}

func (sc *scene) judgeCode(sum *odds.Sum) {
	switch {
	case sc.atRest != "":
		sum.Note(weightAtRest, "such a goroutine is meant to wait: it %s", sc.atRest)
	case sc.forgotten != "":
		sum.Note(weightForgotten, "%s", sc.forgotten)
		if sc.unused {
			sum.Note(weightUnused, "nobody is at work with what they wait for")
		}
	case sc.code == codeTesting:
		sum.Note(weightTesting, "package testing waits here for tests")
	case sc.code == codeUnknown:
		sum.Note(weightStdOnly, "nothing of the stack is known")
	case sc.code == codeStdOnly:
		sum.Note(weightStdOnly, "the goroutine is the standard library's own")
	case sc.code == codeNetwork:
		sum.Note(weightNetwork, "they wait for an answer over the network")
	case sc.code == codeStd:
		sum.Note(weightStd, "the wait is inside the standard library")
	}
}
