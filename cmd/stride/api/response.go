package api

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/prometheus/prometheus/util/annotations"
)

// maxNotes is the most warnings, and the most infos, in an answer.
const maxNotes = 10

// respond writes an answer with data.
func (a *API) respond(w http.ResponseWriter, r *http.Request, res answer) {
	warnings, infos := notes(res.warnings, r.FormValue("query"))
	a.metrics.answered(len(warnings))
	// What cannot be encoded must be known before the status is sent.
	data, err := encodable(res.data)
	if err != nil {
		a.opts.Logger.Error("error marshaling response", "url", r.URL, "err", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	e := &encoder{w: w}
	e.raw(`{"status":"success","data":`)
	data.encode(e)
	e.notes("warnings", warnings)
	e.notes("infos", infos)
	e.raw("}")
	a.finish(e, r)
}

// respondError writes an answer with an error.
func (a *API) respondError(w http.ResponseWriter, r *http.Request, err *apiError) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(err.typ.status())
	e := &encoder{w: w}
	e.raw(`{"status":"error","errorType":`)
	e.htmlText(string(err.typ))
	e.raw(`,"error":`)
	e.htmlText(err.err.Error())
	e.raw("}")
	a.finish(e, r)
}

func (a *API) finish(e *encoder, r *http.Request) {
	if err := e.flush(); err != nil {
		a.opts.Logger.Error("error writing response", "url", r.URL, "bytesWritten", e.written, "err", err)
	}
}

// notes are the annotations of a query as text, in order.
func notes(a annotations.Annotations, query string) (warnings, infos []string) {
	warnings, infos = a.AsStrings(query, 0, 0)
	return fewNotes(warnings, "warning"), fewNotes(infos, "info")
}

// fewNotes sorts notes and leaves out those that are too many.
func fewNotes(notes []string, kind string) []string {
	slices.Sort(notes)
	if more := len(notes) - maxNotes; more > 0 {
		notes = append(notes[:maxNotes], fmt.Sprintf("%d more %s annotations omitted", more, kind))
	}
	return notes
}
