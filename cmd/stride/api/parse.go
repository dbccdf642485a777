package api

import "net/http"

func (a *API) formatQuery(r *http.Request) answer {
	expr, err := a.opts.Parser.ParseExpr(r.FormValue("query"))
	if err != nil {
		return answer{err: invalidParameter("query", err)}
	}
	return answer{data: expr.Pretty(0)}
}

func (a *API) parseQuery(r *http.Request) answer {
	expr, err := a.opts.Parser.ParseExpr(r.FormValue("query"))
	if err != nil {
		return answer{err: invalidParameter("query", err)}
	}
	return answer{data: syntaxTree(expr)}
}
