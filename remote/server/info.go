package server

import (
	"context"
	"math"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	"github.com/stride-promql/stride/remote/proto/wire"
)

// Info implements thanos.info.Info.
//
// Thanos queriers take the latest start that a label set is announced with, so that each is announced once, from its first time to its
// last; what lies between is in a field that only Stride knows.
func (s *Server) Info(context.Context, *thanospb.InfoRequest) (*thanospb.InfoResponse, error) {
	if s.unready.Load() {
		return nil, status.Error(codes.Unavailable, "the node is not ready")
	}
	caps := s.engine.Capabilities()
	_, selects := s.engine.(remote.Selector)
	res := &thanospb.InfoResponse{
		ComponentType: s.opts.Component,
		Store:         &thanospb.StoreInfo{MinTime: math.MaxInt64, MaxTime: math.MinInt64, SupportsSharding: true},
		Query:         &thanospb.QueryAPIInfo{},
		StoreGroupId:  caps.GroupID,
		PeerType:      peerTypes[caps.PeerType],
		Stride: &thanospb.StrideInfo{
			LanguageLevel: caps.LanguageLevel, PlanVersion: int32(caps.PlanVersion), LabelHash: caps.LabelHash, Selects: selects,
		},
	}
	for _, c := range s.engine.Coverage() {
		if len(c.Intervals) == 0 {
			continue
		}
		set, err := wire.AppendThanosLabels(c.Labels)
		if err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
		info := &thanospb.TSDBInfo{Labels: set, MinTime: c.Intervals[0].Start, MaxTime: c.Intervals.End()}
		if len(c.Intervals) > 1 {
			for _, i := range c.Intervals {
				info.Intervals = append(info.Intervals, &thanospb.Interval{Start: i.Start, End: i.End})
			}
		}
		res.LabelSets = append(res.LabelSets, set)
		res.Store.TsdbInfos = append(res.Store.TsdbInfos, info)
		res.Store.MinTime = min(res.Store.MinTime, info.MinTime)
		res.Store.MaxTime = max(res.Store.MaxTime, info.MaxTime)
	}
	return res, nil
}

var peerTypes = map[remote.PeerType]thanospb.PeerType{
	remote.PeerSource: thanospb.PeerType_PEER_SOURCE,
	remote.PeerStore:  thanospb.PeerType_PEER_STORE,
	remote.PeerQuery:  thanospb.PeerType_PEER_QUERY,
}
