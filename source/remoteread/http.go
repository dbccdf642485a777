package remoteread

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
)

func encode(params map[string][]string) string { return url.Values(params).Encode() }

// do sends a request. Answers with another status than 200 are errors. The body of the answer has to be closed.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	res, err := c.opts.HTTP.Do(req)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err // the address is in front of the error
		}
		if errors.Is(err, io.EOF) {
			err = errors.New("it has closed the connection")
		}
		return nil, err
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	return nil, refusal(res)
}

// maxRefusal is how much is read of an answer that says what is wrong.
const maxRefusal = 4096

// refusal is what an answer says that is wrong, in JSON or in words.
func refusal(res *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
	if err != nil {
		return err
	}
	text := strings.TrimSpace(string(b))
	var answer struct{ Error string }
	if json.Unmarshal(b, &answer) == nil && answer.Error != "" {
		text = answer.Error
	}
	if text == "" {
		text = http.StatusText(res.StatusCode)
	}
	return &statusError{res.StatusCode, text}
}
